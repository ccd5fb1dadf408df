// The cluster as JSON: what /api/cluster and `baton ... --json` print. Seconds, bytes and tokens
// per second as in DESIGN section 9.
#pragma once

#include <boost/json.hpp>

#include "cluster/cluster.h"
#include "plan/planner.h"

namespace baton::serve {

namespace json = boost::json;

// `name_of` turns a node's id into the name people know.
using NameOf = std::function<std::string(const NodeId&)>;
json::object ToJson(const plan::Plan& plan, const NameOf& name_of);
json::object ToJson(const plan::Explanation& explanation, const NameOf& name_of);
json::object ToJson(const plan::PlanResult& result, const NameOf& name_of);
json::object ToJson(const cluster::InstanceView& instance, const NameOf& name_of);
json::object ToJson(const cluster::ClusterView& view);
// Times are microseconds of this machine's steady clock.
json::array ToJson(const std::vector<TimelineEvent>& events, const NameOf& name_of);

// The node that people mean by `text`: a name, an id, or the start of one. kInvalidArgument lists
// the choices.
Result<NodeId> FindNode(const cluster::ClusterView& view, std::string_view text);

}  // namespace baton::serve
