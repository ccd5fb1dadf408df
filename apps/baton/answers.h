// Reading what the API answers, and showing it.
#pragma once

#include <string>
#include <vector>

#include <boost/json.hpp>

namespace baton::app {

// Members of an object; empty, 0, false where there are none such.
std::string Text(const boost::json::value& value, const char* key);
double Number(const boost::json::value& value, const char* key);
bool Flag(const boost::json::value& value, const char* key);
const boost::json::array& List(const boost::json::value& value, const char* key);

// One line; returns the exit code 0.
int PrintJson(const boost::json::value& value);
// Columns as wide as their widest cell, four blanks between them.
void PrintTable(const std::vector<std::vector<std::string>>& rows);

// One plan as serve::ToJson() has it.
void ShowPlan(const boost::json::value& plan);
// The chosen one with its picture (of box characters if `boxes`), what binds it, what would better
// it, and the others; returns the exit code 0.
int ShowPlans(const boost::json::value& result, bool boxes);

}  // namespace baton::app
