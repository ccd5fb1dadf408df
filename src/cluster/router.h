// Router: which of several instances of a model a request goes to. Pure.
//
// It remembers, of the requests that this entry node sent, which full pages of KV each instance has
// computed, by their rolling hashes (kv/prefix_cache.h): what the instance has in its prefix cache,
// as far as it has not made room since. A conversation goes back to where its KV is, unless that
// instance is busier than the least busy one by more than half of what it is planned for; all else
// goes to the least busy in proportion to what each is planned for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <utility>

#include "base/ids.h"

namespace baton::cluster {

// An instance that has a slot to give.
struct RouteOption {
  InstanceId instance;
  uint64_t epoch = 0;
  int running = 0;
  int planned = 1;  // requests at once
};

class Router {
 public:
  static constexpr size_t kPagesMax = 1 << 16;
  static constexpr double kBusier = 0.5;

  // The index of the best of `options`, of which there is at least one, for a prompt whose full
  // pages end with `pages`.
  size_t Choose(std::span<const RouteOption> options, std::span<const uint64_t> pages) const;
  // The instance has these pages now. Those of other epochs it has lost.
  void Note(const InstanceId& instance, uint64_t epoch, std::span<const uint64_t> pages);
  // How many of `pages`, from the first on, it has.
  size_t PagesAt(const InstanceId& instance, uint64_t epoch, std::span<const uint64_t> pages) const;

 private:
  using Key = std::pair<InstanceId, uint64_t>;  // and a page's hash
  struct Page {
    Key key;
    uint64_t epoch;
  };
  std::list<Page> order_;  // noted last first
  std::map<Key, std::list<Page>::iterator> index_;
};

}  // namespace baton::cluster
