#include <exception>

#include "apps/baton/command.h"
#include "apps/baton/verbs.h"
#include "node/node.h"

namespace baton::app {
namespace {

// In the order in which `baton --help` lists them.
constexpr AddCommand kCommands[] = {AddRun,      AddServe,  AddNodes,      AddPs,    AddLs,
                                    AddShow,     AddRm,     AddPlan,       AddPlace, AddStop,
                                    AddInvite,   AddJoin,   AddBench,      AddLab,   AddRender,
                                    AddTokenize, AddLogits, AddPerplexity, AddSynth};

int Main(int argc, char** argv) {
  const Environment environment = ReadEnvironment();
  CLI::App root("One AI out of all the devices you own.", "baton");
  root.require_subcommand(1);
  root.set_version_flag("--version", std::string("baton ") + node::Version());
  Work chosen;
  for (const AddCommand add : kCommands) {
    add(root, environment, chosen);
  }
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 reports through exceptions; they end here.
    return root.exit(error) == 0 ? 0 : 2;
  }
  return chosen();
}

}  // namespace
}  // namespace baton::app

int main(int argc, char** argv) {
  return baton::app::Main(argc, argv);
}
