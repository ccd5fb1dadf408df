#include "engine/engine.h"

#include <algorithm>

#include "os/system.h"

namespace baton::engine {

Result<std::shared_ptr<LoadedStage>> LoadedStage::Create(std::unique_ptr<device::Device> device,
                                                         std::unique_ptr<Stage> stage) {
  BATON_ASSIGN_OR_RETURN(Workspace workspace, stage->NewWorkspace());
  return std::shared_ptr<LoadedStage>(
      new LoadedStage(std::move(device), std::move(stage), std::move(workspace)));
}

Engine::Engine(const os::Clock& clock) : clock_(clock), thread_([this] { Loop(); }) {}

Engine::~Engine() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

void Engine::Post(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.NotifyAll();
}

void Engine::Wake() {
  {
    MutexLock lock(mutex_);
    woken_ = true;
  }
  wake_.NotifyAll();
}

Result<Engine::Opened> Engine::Open(std::shared_ptr<LoadedStage> stage,
                                    const kv::PrefixHashes& prefixes, int prompt_tokens,
                                    int tokens_room) {
  // The last prompt token is always computed: its logits are what comes next.
  const auto hashes = kv::PageHashes(prefixes, prompt_tokens - 1);
  kv::PageTable cached = stage->cache().Find(hashes);
  const int cached_tokens = static_cast<int>(cached.size()) * kv::kPageTokens;
  auto sequence = std::make_unique<kv::Sequence>(stage->stage().pool(), std::move(cached));
  BATON_RETURN_IF_ERROR(kv::ReserveEvicting(*sequence, tokens_room, stage->cache()));
  const SlotId id = next_id_++;
  slots_[id] = {std::move(stage), std::move(sequence), {}};
  return Opened{id, cached_tokens};
}

Status Engine::Reserve(SlotId slot, int tokens) {
  const auto found = slots_.find(slot);
  if (found == slots_.end()) return MakeError(Code::kCancelled, "the sequence is closed");
  return kv::ReserveEvicting(*found->second.sequence, tokens, found->second.stage->cache());
}

kv::Sequence* Engine::Find(SlotId slot) {
  const auto found = slots_.find(slot);
  return found == slots_.end() ? nullptr : found->second.sequence.get();
}

void Engine::Submit(SlotId slot, Step step) {
  const auto found = slots_.find(slot);
  if (found != slots_.end()) found->second.steps.push_back(std::move(step));
}

void Engine::CancelSteps(SlotId slot) {
  const auto found = slots_.find(slot);
  if (found != slots_.end()) found->second.steps.clear();
}

void Engine::Close(SlotId slot, const kv::PrefixHashes& prefixes, int valid_tokens) {
  const auto found = slots_.find(slot);
  if (found == slots_.end()) return;
  kv::Sequence& sequence = *found->second.sequence;
  const int known = static_cast<int>(prefixes->size()) - 1;
  const int whole = std::min({valid_tokens, known, sequence.length()});
  found->second.stage->cache().Insert(kv::PageHashes(prefixes, whole), sequence.pages());
  slots_.erase(found);
}

std::vector<std::function<void()>> Engine::TakeTasks(bool wait) {
  MutexLock lock(mutex_);
  while (wait && tasks_.empty() && !woken_ && !stopping_) wake_.Wait(mutex_);
  woken_ = false;
  return std::exchange(tasks_, {});
}

void Engine::Loop() {
  os::NameThisThread("engine");
  bool idle = true;
  for (;;) {
    for (const auto& task : TakeTasks(idle)) task();
    {
      MutexLock lock(mutex_);
      if (stopping_) break;
    }
    const SlotId next = NextSlot();
    idle = next == 0;
    if (!idle) RunStep(next);
  }
  slots_.clear();
}

SlotId Engine::NextSlot() {
  SlotId if_idle = 0;
  // Round robin: first those behind the last one, then from the start.
  auto at = slots_.upper_bound(last_run_);
  for (size_t seen = 0; seen < slots_.size(); ++seen, ++at) {
    if (at == slots_.end()) at = slots_.begin();
    const auto& [id, slot] = *at;
    if (slot.steps.empty()) continue;
    const Step& step = slot.steps.front();
    const Readiness readiness = step.readiness ? step.readiness() : Readiness::kNow;
    if (readiness == Readiness::kNow) return id;
    if (readiness == Readiness::kIfIdle && if_idle == 0) if_idle = id;
  }
  return if_idle;
}

void Engine::RunStep(SlotId id) {
  last_run_ = id;
  Slot& slot = slots_.at(id);
  const Step step = std::move(slot.steps.front());
  slot.steps.pop_front();
  const std::shared_ptr<LoadedStage> stage = slot.stage;  // `done` may close the slot
  NoHooks no_hooks;
  LayerHooks& hooks = step.hooks ? *step.hooks : static_cast<LayerHooks&>(no_hooks);
  const os::TimePoint begin = clock_.Now();
  auto output = stage->stage().Run({.layers = step.layers,
                                    .first_position = step.first_position,
                                    .tokens = step.tokens,
                                    .activations = step.activations,
                                    .want_logits = step.want_logits},
                                   *slot.sequence, stage->workspace(), hooks);
  busy_seconds_ = busy_seconds_ + os::SecondsBetween(begin, clock_.Now());
  step.done(std::move(output));
}

}  // namespace baton::engine
