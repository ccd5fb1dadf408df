// `baton lab --simulate`: a scenario's rows as a fleet has them, without starting anything.
#pragma once

#include "plan/scenario.h"
#include "plan/simulator.h"

namespace baton::app {

// Prints a table or one JSON object; returns the exit code. `only` empty: all rows.
int SimulateRows(const plan::Scenario& scenario, const plan::ModelCost& model,
                 const plan::SimulationOptions& options, const std::string& only, bool as_json);

}  // namespace baton::app
