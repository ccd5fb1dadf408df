// Where this program finds models, and how verbs open what a user named.
#pragma once

#include <string>

#include "apps/baton/command.h"
#include "hub/store.h"

namespace baton::app {

// $BATON_MODELS, our own store, what came with the program, Hugging Face's and Ollama's.
hub::StoreOptions StoreOptionsFrom(const Environment& environment);

// The path of a model that the owner of this machine named on the command line: a path or a name.
Result<std::string> FindModel(const Environment& environment, const std::string& name);
// "./NAME" where NAME is no model's name but a folder right here that holds one, else NAME.
std::string WithPath(const Environment& environment, const std::string& name);

// All of standard input.
Result<std::string> ReadStandardInput();

}  // namespace baton::app
