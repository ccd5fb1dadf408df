#include <memory>

#include "apps/baton/store.h"
#include "apps/baton/verbs.h"

namespace baton::app {

void AddRm(CLI::App& root, const Environment& environment, Work& chosen) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* verb = root.add_subcommand("rm", "delete models from our own store");
  verb->add_option("MODEL", *names, "names as `baton ls` prints them")->required();
  verb->callback([names, environment, &chosen] {
    chosen = [names, environment] {
      const hub::ModelStore store(StoreOptionsFrom(environment));
      for (const std::string& name : *names) {
        const Status status = store.Remove(name);
        if (!status.ok()) return Fail(status.error());
        fmt::print("deleted '{}'\n", name);
      }
      return 0;
    };
  });
}

}  // namespace baton::app
