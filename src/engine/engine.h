// Engine: the one thread that steps a device. Whatever computes on this node is a step of a slot.
// Every prompt and all answers together have a turn in turn, so that a long prompt (one chunk per
// step) never stops a running stream. Single tokens of several sequences at the same layers run as
// one batch: whoever is ready joins the next. The turns of prompts go to one after the other, each
// due when as many tokens have been computed as it has, counted from its arrival: those of a length
// in order, a short one before what is left of a long one, and none is overtaken by more tokens
// than its own.
//
// Everything but Post(), Wake() and the constructor runs on the engine's thread: callers elsewhere
// post a task that does it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/timeline.h"
#include "engine/stage.h"
#include "kv/prefix_cache.h"
#include "os/clock.h"
#include "plan/step_cost.h"

namespace baton::engine {

// A stage in use, with the device that runs it, its scratch memory and its prefix cache.
class LoadedStage {
 public:
  // `stage` was loaded on `device`.
  static Result<std::shared_ptr<LoadedStage>> Create(std::unique_ptr<device::Device> device,
                                                     std::unique_ptr<Stage> stage);

  const Stage& stage() const { return *stage_; }
  Workspace& workspace() { return workspace_; }
  kv::PrefixCache& cache() { return cache_; }

 private:
  LoadedStage(std::unique_ptr<device::Device> device, std::unique_ptr<Stage> stage,
              Workspace workspace)
      : device_(std::move(device)), stage_(std::move(stage)), workspace_(std::move(workspace)) {}

  const std::unique_ptr<device::Device> device_;
  const std::unique_ptr<Stage> stage_;
  Workspace workspace_;
  kv::PrefixCache cache_;
};

// May a step run now?
enum class Readiness {
  kNow,
  kIfIdle,  // it will wait a little inside: only when nobody else could run
  kLater,   // not before the next Wake()
};

struct Step {
  LayerRange layers;
  int first_position = 0;
  std::vector<TokenId> tokens;     // where layers begin the model
  std::vector<float> activations;  // [token][hidden] elsewhere
  bool want_logits = false;
  std::shared_ptr<LayerHooks> hooks;     // null: NoHooks
  std::function<Readiness()> readiness;  // null: kNow
  // Engine thread, right after the run; the views live until it returns.
  std::function<void(Result<StageOutput>)> done;

  int token_count(int hidden_width) const {
    return tokens.empty() ? static_cast<int>(activations.size()) / hidden_width
                          : static_cast<int>(tokens.size());
  }
};

using SlotId = uint64_t;

class Engine {
 public:
  // On the engine's thread, after a step of one sequence that waited for nothing, and what came of
  // it.
  using OnStep = std::function<void(const std::shared_ptr<LoadedStage>&, const plan::RanStep&)>;

  // `timeline`, if any, is told of every step and outlives the engine.
  explicit Engine(const os::Clock& clock, Timeline* timeline = nullptr, OnStep on_step = {});
  // Ends after the step that runs; steps that still wait are dropped without being told.
  ~Engine();

  // Any thread: runs `task` on the engine's thread, between steps, in order.
  void Post(std::function<void()> task) BATON_EXCLUDES(mutex_);
  // Any thread: something that a step's readiness depends on has changed.
  void Wake() BATON_EXCLUDES(mutex_);

  // --- Engine thread ---

  struct Opened {
    SlotId slot = 0;
    int cached_tokens = 0;  // whole pages of the prompt, and never all of it
  };
  // A slot for a sequence that will hold `tokens_room` tokens to begin with. kResourceExhausted if
  // the pages are not to be had even after the cache gave up its own.
  Result<Opened> Open(std::shared_ptr<LoadedStage> stage, const kv::PrefixHashes& prefixes,
                      int prompt_tokens, int tokens_room);
  // Pages for at least `tokens`.
  Status Reserve(SlotId slot, int tokens);
  // The slot's first `tokens` tokens will come from elsewhere (kv::Sequence::Await), for which
  // there is room.
  Status Await(SlotId slot, int tokens);
  // The slot's sequence; null once closed.
  kv::Sequence* Find(SlotId slot);
  void Submit(SlotId slot, Step step);
  // Drops the slot's waiting steps.
  void CancelSteps(SlotId slot);
  // Gives the slot up. The full pages of its first `valid_tokens` tokens, whose hashes are
  // `prefixes`, stay in the prefix cache.
  void Close(SlotId slot, const kv::PrefixHashes& prefixes, int valid_tokens);

  // Any thread: seconds spent computing since the start.
  double busy_seconds() const { return busy_seconds_; }
  // Any thread: sequences in the largest batch so far.
  int largest_batch() const { return largest_batch_; }

 private:
  struct Slot {
    std::shared_ptr<LoadedStage> stage;
    std::unique_ptr<kv::Sequence> sequence;
    std::vector<uint64_t> page_hashes;  // of the prompt
    int prompt_tokens = 0;
    std::deque<Step> steps;
    uint64_t last_turn = 0;
    std::optional<int64_t> due;  // by prompt_tokens_run_
  };
  void Loop();
  std::vector<std::function<void()>> TakeTasks(bool wait) BATON_EXCLUDES(mutex_);
  // The slot whose turn it is: of the prompts that can run the one that is due first, of the
  // answers the one that has waited longest. 0 if none can.
  SlotId NextSlot() const;
  // It and whoever can share its run.
  std::vector<SlotId> BatchWith(SlotId id) const;
  // Readies the sequence for its next step; of the prompt's pages, what it then gives up stays in
  // the prefix cache as long as memory lasts.
  Status Slide(Slot& slot);
  void RunTurn(SlotId id);
  void RunStep(SlotId id);
  bool RunBatch(const std::vector<SlotId>& ids);
  void Note(os::TimePoint begin, LayerRange layers, int first_token, int tokens, bool batch);

  const os::Clock& clock_;
  Timeline* const timeline_;
  const OnStep on_step_;
  std::atomic<double> busy_seconds_{0};
  std::atomic<int> largest_batch_{0};

  // Engine thread only:
  std::map<SlotId, Slot> slots_;
  uint64_t turn_ = 0;
  uint64_t answer_turn_ = 0;  // the last that answers had
  int64_t prompt_tokens_run_ = 0;
  SlotId next_id_ = 1;

  Mutex mutex_;
  CondVar wake_;
  std::vector<std::function<void()>> tasks_ BATON_GUARDED_BY(mutex_);
  bool woken_ BATON_GUARDED_BY(mutex_) = false;
  bool stopping_ BATON_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace baton::engine
