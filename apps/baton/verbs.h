// The verbs, one file each. main.cc lists them in the order of `baton --help`.
#pragma once

#include "apps/baton/command.h"

namespace baton::app {

void AddBench(CLI::App& root, const Environment& environment, Work& chosen);
void AddInvite(CLI::App& root, const Environment& environment, Work& chosen);
void AddJoin(CLI::App& root, const Environment& environment, Work& chosen);
void AddLab(CLI::App& root, const Environment& environment, Work& chosen);
void AddLogits(CLI::App& root, const Environment& environment, Work& chosen);
void AddLs(CLI::App& root, const Environment& environment, Work& chosen);
void AddNodes(CLI::App& root, const Environment& environment, Work& chosen);
void AddPerplexity(CLI::App& root, const Environment& environment, Work& chosen);
void AddPlace(CLI::App& root, const Environment& environment, Work& chosen);
void AddPlan(CLI::App& root, const Environment& environment, Work& chosen);
void AddPs(CLI::App& root, const Environment& environment, Work& chosen);
void AddRender(CLI::App& root, const Environment& environment, Work& chosen);
void AddRm(CLI::App& root, const Environment& environment, Work& chosen);
void AddRun(CLI::App& root, const Environment& environment, Work& chosen);
void AddServe(CLI::App& root, const Environment& environment, Work& chosen);
void AddShow(CLI::App& root, const Environment& environment, Work& chosen);
void AddStop(CLI::App& root, const Environment& environment, Work& chosen);
void AddSynth(CLI::App& root, const Environment& environment, Work& chosen);
void AddTokenize(CLI::App& root, const Environment& environment, Work& chosen);

}  // namespace baton::app
