#include "cluster/router.h"

#include <algorithm>

#include "base/check.h"

namespace baton::cluster {
namespace {

// With one request more.
double LoadOf(const RouteOption& option) {
  return (option.running + 1.0) / std::max(1, option.planned);
}

}  // namespace

size_t Router::Choose(std::span<const RouteOption> options, std::span<const uint64_t> pages) const {
  CHECK(!options.empty());
  size_t idlest = 0;
  size_t fittest = 0;
  size_t most = 0;
  for (size_t i = 0; i < options.size(); ++i) {
    if (LoadOf(options[i]) < LoadOf(options[idlest])) idlest = i;
    const size_t has = PagesAt(options[i].instance, options[i].epoch, pages);
    if (has < most || (has == most && !(LoadOf(options[i]) < LoadOf(options[fittest])))) continue;
    most = has;
    fittest = i;
  }
  const bool busier = LoadOf(options[fittest]) - LoadOf(options[idlest]) > kBusier;
  return most == 0 || busier ? idlest : fittest;
}

void Router::Note(const InstanceId& instance, uint64_t epoch, std::span<const uint64_t> pages) {
  // The last first, so that what room is made for is an end and not a beginning.
  for (size_t i = pages.size(); i-- > 0;) {
    const Key key{instance, pages[i]};
    const auto known = index_.find(key);
    if (known != index_.end()) order_.erase(known->second);
    order_.push_front({key, epoch});
    index_[key] = order_.begin();
  }
  while (order_.size() > kPagesMax) {
    index_.erase(order_.back().key);
    order_.pop_back();
  }
}

size_t Router::PagesAt(const InstanceId& instance, uint64_t epoch,
                       std::span<const uint64_t> pages) const {
  size_t count = 0;
  for (const uint64_t page : pages) {
    const auto known = index_.find({instance, page});
    if (known == index_.end() || known->second->epoch != epoch) break;
    ++count;
  }
  return count;
}

}  // namespace baton::cluster
