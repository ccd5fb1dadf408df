#include "engine/engine.h"

#include <algorithm>

#include "os/system.h"

namespace baton::engine {

namespace {

template <typename Slot>
Readiness ReadinessOf(const Slot& slot) {
  if (slot.steps.empty()) return Readiness::kLater;
  const Step& step = slot.steps.front();
  return step.readiness ? step.readiness() : Readiness::kNow;
}

template <typename Slot>
bool IsOfPrompt(const Slot& slot) {
  return slot.steps.front().first_position < slot.prompt_tokens;
}

// One token that neither waits for KV nor sends any.
template <typename Slot>
bool CanShare(const Slot& slot) {
  const Step& step = slot.steps.front();
  return step.hooks == nullptr && step.token_count(slot.stage->stage().spec().hidden_width) == 1;
}

}  // namespace

Result<std::shared_ptr<LoadedStage>> LoadedStage::Create(std::unique_ptr<device::Device> device,
                                                         std::unique_ptr<Stage> stage) {
  BATON_ASSIGN_OR_RETURN(Workspace workspace, stage->NewWorkspace());
  return std::shared_ptr<LoadedStage>(
      new LoadedStage(std::move(device), std::move(stage), std::move(workspace)));
}

Engine::Engine(const os::Clock& clock, Timeline* timeline, OnStep on_step)
    : clock_(clock),
      timeline_(timeline),
      on_step_(std::move(on_step)),
      thread_([this] { Loop(); }) {}

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
  kv::PagePool& pool = stage->stage().pool();
  kv::PrefixCache::Prefix cached = stage->cache().Find(hashes, pool.window_max());
  const int cached_tokens = static_cast<int>(cached.pages.size()) * kv::kPageTokens;
  auto sequence = std::make_unique<kv::Sequence>(pool, std::move(cached.pages), cached.window_from);
  sequence->SetTextTokens(prompt_tokens);
  BATON_RETURN_IF_ERROR(kv::ReserveEvicting(*sequence, tokens_room, stage->cache()));
  const SlotId id = next_id_++;
  slots_[id] = {.stage = std::move(stage),
                .sequence = std::move(sequence),
                .page_hashes = kv::PageHashes(prefixes, prompt_tokens),
                .prompt_tokens = prompt_tokens};
  return Opened{id, cached_tokens};
}

Status Engine::Reserve(SlotId slot, int tokens) {
  const auto found = slots_.find(slot);
  if (found == slots_.end()) return MakeError(Code::kCancelled, "the sequence is closed");
  return kv::ReserveEvicting(*found->second.sequence, tokens, found->second.stage->cache());
}

Status Engine::Await(SlotId slot, int tokens) {
  const auto found = slots_.find(slot);
  if (found == slots_.end()) return MakeError(Code::kCancelled, "the sequence is closed");
  kv::Sequence& sequence = *found->second.sequence;
  sequence.Await(tokens);
  kv::PrefixCache& cache = found->second.stage->cache();
  const Status granted = kv::ReserveEvicting(sequence, sequence.capacity(), cache);
  if (granted.ok() || granted.error().code() != Code::kResourceExhausted) return granted;
  sequence.ForgetCompleteWindow();
  return kv::ReserveEvicting(sequence, sequence.capacity(), cache);
}

Status Engine::Slide(Slot& slot) {
  kv::Sequence& sequence = *slot.sequence;
  kv::PrefixCache& cache = slot.stage->cache();
  const Step& step = slot.steps.front();
  if (step.first_position > sequence.length()) return OkStatus();  // the run will refuse it
  const int count = step.token_count(slot.stage->stage().spec().hidden_width);
  const size_t whole =
      std::min(slot.page_hashes.size(), static_cast<size_t>(sequence.complete() / kv::kPageTokens));
  const size_t passed =
      std::min(whole, static_cast<size_t>(sequence.FirstPageKept(step.first_position)));
  if (static_cast<int>(passed) > sequence.first_windowed_page()) {
    cache.Insert(std::span(slot.page_hashes).first(passed),
                 sequence.SharePrefix(static_cast<int>(passed) * kv::kPageTokens),
                 sequence.window_from(), /*passed=*/true);
  }
  return kv::SlideEvicting(sequence, step.first_position, count, cache);
}

kv::Sequence* Engine::Find(SlotId slot) {
  const auto found = slots_.find(slot);
  return found == slots_.end() ? nullptr : found->second.sequence.get();
}

void Engine::Submit(SlotId slot, Step step) {
  const auto found = slots_.find(slot);
  if (found == slots_.end()) return;
  Slot& its = found->second;
  if (!its.due) its.due = prompt_tokens_run_ + its.prompt_tokens - step.first_position;
  its.steps.push_back(std::move(step));
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
  found->second.stage->cache().Insert(kv::PageHashes(prefixes, whole), sequence.pages(),
                                      sequence.window_from());
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
    if (!idle) RunTurn(next);
  }
  slots_.clear();
}

SlotId Engine::NextSlot() const {
  for (const Readiness wanted : {Readiness::kNow, Readiness::kIfIdle}) {
    const std::pair<const SlotId, Slot>* prompt = nullptr;
    const std::pair<const SlotId, Slot>* answer = nullptr;
    uint64_t prompts = 0;
    for (const auto& each : slots_) {
      const Slot& slot = each.second;
      if (ReadinessOf(slot) != wanted) continue;
      if (IsOfPrompt(slot)) {
        ++prompts;
        if (prompt == nullptr || *slot.due < *prompt->second.due) prompt = &each;
      } else {
        if (answer == nullptr || slot.last_turn < answer->second.last_turn) answer = &each;
      }
    }
    const bool prompts_turn = answer == nullptr || turn_ - answer_turn_ < prompts;
    const auto* const next = prompt != nullptr && prompts_turn ? prompt : answer;
    if (next != nullptr) return next->first;
  }
  return 0;
}

std::vector<SlotId> Engine::BatchWith(SlotId id) const {
  std::vector<SlotId> ids = {id};
  const Slot& chosen = slots_.at(id);
  const Step& step = chosen.steps.front();
  if (!CanShare(chosen)) return ids;
  const auto most = static_cast<size_t>(chosen.stage->stage().options().batch_max);
  // From the chosen one on and around, so that everybody gets a place if there are too many.
  const auto add = [&](auto at, auto end) {
    for (; at != end && ids.size() < most; ++at) {
      const Slot& slot = at->second;
      const bool joins = slot.stage == chosen.stage && ReadinessOf(slot) == Readiness::kNow &&
                         CanShare(slot) && slot.steps.front().layers == step.layers &&
                         slot.steps.front().want_logits == step.want_logits;
      if (joins) ids.push_back(at->first);
    }
  };
  const auto at = slots_.find(id);
  add(std::next(at), slots_.end());
  add(slots_.begin(), at);
  return ids;
}

void Engine::RunTurn(SlotId id) {
  const std::vector<SlotId> ids = BatchWith(id);
  ++turn_;
  if (!IsOfPrompt(slots_.at(id))) answer_turn_ = turn_;
  for (const SlotId member : ids) slots_.at(member).last_turn = turn_;
  if (ids.size() > 1 && RunBatch(ids)) return;
  RunStep(id);
}

void Engine::Note(os::TimePoint begin, LayerRange layers, int first_token, int tokens, bool batch) {
  const os::TimePoint end = clock_.Now();
  busy_seconds_ = busy_seconds_ + os::SecondsBetween(begin, end);
  if (timeline_ == nullptr) return;
  timeline_->Add({.activity = batch || tokens == 1 ? Activity::kDecode : Activity::kPrefill,
                  .begin = begin,
                  .end = end,
                  .layers = layers,
                  .first_token = first_token,
                  .tokens = tokens});
}

// False, with nothing done, where some member cannot run: alone it will hear why.
bool Engine::RunBatch(const std::vector<SlotId>& ids) {
  const std::shared_ptr<LoadedStage> stage = slots_.at(ids.front()).stage;
  std::vector<BatchMember> members;
  for (const SlotId id : ids) {
    Slot& slot = slots_.at(id);
    const Step& step = slot.steps.front();
    if (!Slide(slot).ok()) return false;
    members.push_back({slot.sequence.get(), step.first_position,
                       step.tokens.empty() ? 0 : step.tokens.front(), step.activations});
  }
  const Step& first = slots_.at(ids.front()).steps.front();
  const os::TimePoint begin = clock_.Now();
  const auto output =
      stage->stage().RunBatch({first.layers, members, first.want_logits}, stage->workspace());
  Note(begin, first.layers, first.first_position, static_cast<int>(ids.size()), /*batch=*/true);
  if (!output.ok()) return false;
  largest_batch_ = std::max(largest_batch_.load(), static_cast<int>(ids.size()));

  std::vector<Step> steps;
  for (const SlotId id : ids) {
    steps.push_back(std::move(slots_.at(id).steps.front()));
    slots_.at(id).steps.pop_front();
  }
  const auto row = [&](std::span<const float> rows, size_t i) {
    const size_t width = rows.size() / ids.size();
    return rows.subspan(i * width, width);
  };
  for (size_t i = 0; i < steps.size(); ++i) {
    steps[i].done(StageOutput{row(output->activations, i), row(output->logits, i)});
  }
  return true;
}

void Engine::RunStep(SlotId id) {
  Slot& slot = slots_.at(id);
  const Status ready = Slide(slot);
  const Step step = std::move(slot.steps.front());
  slot.steps.pop_front();
  if (!ready.ok()) return step.done(ready.error());
  const std::shared_ptr<LoadedStage> stage = slot.stage;  // `done` may close the slot
  NoHooks no_hooks;
  LayerHooks& hooks = step.hooks ? *step.hooks : static_cast<LayerHooks&>(no_hooks);
  const os::TimePoint begin = clock_.Now();
  auto output = stage->stage().Run({.layers = step.layers,
                                    .first_position = step.first_position,
                                    .tokens = step.tokens,
                                    .activations = step.activations,
                                    .logit_rows = step.want_logits ? 1 : 0},
                                   *slot.sequence, stage->workspace(), hooks);
  const int tokens = step.token_count(stage->stage().spec().hidden_width);
  Note(begin, step.layers, step.first_position, tokens, /*batch=*/false);
  if (step.first_position < slot.prompt_tokens) prompt_tokens_run_ += tokens;
  const bool counts = output.ok() && !step.readiness;
  step.done(std::move(output));
  // A token is drawn in there.
  const double seconds = os::SecondsBetween(begin, clock_.Now());
  if (on_step_ && counts)
    on_step_(stage, {step.layers, step.first_position, tokens, step.want_logits, seconds});
}

}  // namespace baton::engine
