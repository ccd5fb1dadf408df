// The nodes of a scenario: real processes of this program on phantom devices, each on a machine of
// its own as far as it can see, paired as their owner would.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/baton/client.h"
#include "apps/baton/lab/relay.h"
#include "base/mutex.h"
#include "os/process.h"
#include "plan/scenario.h"

namespace baton::app {

struct LabOptions {
  std::string program;  // `baton`
  // This process is in a network of its own (os::EnterOwnNetwork). If not, links are relays.
  bool isolated = true;
  double speed = 1;
  int context_tokens = 0;
};

// One thread, but for Interrupt().
class LabCluster {
 public:
  // `cluster` and `scenario` must outlive it. Takes until all nodes see each other and have
  // measured their links, or, of large clusters, have been told of them.
  static Result<std::unique_ptr<LabCluster>> Start(const plan::Scenario& scenario,
                                                   const plan::ClusterProfile& cluster,
                                                   const LabOptions& options);
  // Ends all of them and removes what they left.
  ~LabCluster();

  size_t size() const { return nodes_.size(); }
  const std::string& NameOf(size_t node) const { return nodes_[node].name; }
  const Client& ClientOf(size_t node) const { return nodes_[node].client; }
  const Client& EntryClient() const { return nodes_[entry_].client; }
  // What its links carry at least and at most, as the nodes measured, of what they should.
  struct Carried {
    double least = 1;
    double most = 1;
    double mean = 1;
  };
  Carried MeasureLinks() const;
  // Any thread: asks the nodes to end, so that whoever waits for them does not wait for long.
  void Interrupt() const;
  // Ends the instances of the model and waits for that.
  Status StopModel();

 private:
  struct LabNode {
    std::string name;
    std::string address;
    uint16_t api_port = 0;
    uint16_t mesh_port = 0;
    std::vector<std::string> peers;  // relays to the nodes before it
    Client client;
  };
  LabCluster(const plan::Scenario& scenario, const plan::ClusterProfile& cluster,
             const LabOptions& options)
      : scenario_(scenario), cluster_(cluster), options_(options) {}

  Status Run();
  bool RatesAreTold() const;
  Status MakeNetwork();
  Status OpenRelays(size_t i);
  Status PlanAddresses();
  Status StartNode(size_t i);
  std::vector<std::string> Arguments(size_t i) const;
  std::vector<std::string> LinkArguments(size_t i) const;
  Status Wire(size_t i, int process);
  Status AwaitAnswer(size_t i);
  Status Join(size_t i);
  Status AwaitLinks(size_t node, size_t n);
  Status AwaitRates();
  Status CheckAlive();

  const plan::Scenario& scenario_;
  const plan::ClusterProfile& cluster_;
  const LabOptions options_;
  std::string folder_;
  size_t entry_ = 0;
  std::vector<LabNode> nodes_;
  std::unique_ptr<Relays> relays_;
  std::vector<os::Process> processes_;
  std::vector<double> port_bytes_per_s_;
};

// Set by an interrupt; whoever waits looks at it.
bool LabInterrupted();
void InterruptLab();
// kCancelled, if it is.
Status CheckInterrupted();

}  // namespace baton::app
