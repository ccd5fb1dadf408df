// The values that a template computes with: Python's, as far as Jinja shows them.
//
// Text remembers which of its bytes came from a request ("untrusted"); slicing, joining and
// replacing carry the marks along. Everything but namespaces is immutable, as in Jinja's immutable
// sandbox. Values live within one Render call and one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace baton::jinja {

// Counts what values take, so that a template cannot fill the machine. Outlives every value made
// with it.
class Heap {
 public:
  explicit Heap(uint64_t max_bytes) : max_bytes_(max_bytes) {}
  // Fails if `bytes` more would pass the limit; ask before building anything whose size an
  // operation multiplies.
  Status Reserve(uint64_t bytes) const;
  void Add(uint64_t bytes) { live_bytes_ += bytes; }
  void Remove(uint64_t bytes) { live_bytes_ -= bytes; }
  // A value broke a limit below: it was made empty, and the rendering must end.
  void MarkTooLarge() { too_large_ = true; }
  uint64_t max_bytes() const { return max_bytes_; }
  // Fails once a limit has been passed.
  Status Check() const;

 private:
  uint64_t max_bytes_;
  uint64_t live_bytes_ = 0;
  bool too_large_ = false;
};

// How deep values may contain one another: what walks or frees them recurses. A container's weight
// is about how many bytes a walk over it meets, counting what it holds twice twice; it is limited
// like the heap, so no walk over shared parts explodes.
inline constexpr int kNestingMax = 200;

// Bytes [begin, end).
struct Span {
  size_t begin = 0;
  size_t end = 0;
};

class Text {
 public:
  explicit Text(std::string bytes, std::vector<Span> untrusted = {})
      : bytes_(std::move(bytes)), untrusted_(std::move(untrusted)) {}
  // Both yield a text that counts against no heap; only one that counts against none may be moved.
  Text(const Text& other);
  Text(Text&& other) noexcept;
  Text& operator=(const Text&) = delete;
  ~Text();

  const std::string& bytes() const { return bytes_; }
  // Sorted, disjoint, not empty.
  const std::vector<Span>& untrusted() const { return untrusted_; }
  bool has_untrusted() const { return !untrusted_.empty(); }
  // From here on the text counts against `heap`.
  void CountOn(Heap* heap);

  // Set by the filters `safe` and `escape`; adding plain text to such a text escapes it.
  bool markup = false;

 private:
  std::string bytes_;
  std::vector<Span> untrusted_;
  Heap* heap_ = nullptr;
};

// Puts a Text together.
class TextBuilder {
 public:
  void Append(std::string_view trusted) { bytes_ += trusted; }
  void Append(const Text& text) { AppendSlice(text, 0, text.bytes().size()); }
  // Bytes [begin, end) of `text`.
  void AppendSlice(const Text& text, size_t begin, size_t end);
  // `bytes` that stand for something computed from `source`: untrusted if anything in it is.
  void AppendDerived(std::string_view bytes, bool untrusted);
  size_t size() const { return bytes_.size(); }
  Text Build() && { return Text(std::move(bytes_), std::move(untrusted_)); }

 private:
  std::string bytes_;
  std::vector<Span> untrusted_;
};

class Dict;
class Value;
struct Arguments;
struct Function;
struct List;
struct LoopState;
struct Namespace;
struct Runtime;

struct Undefined {
  std::shared_ptr<const std::string> why;  // "'x' is undefined"
};
struct None {};
// 2^63 or more, from a request's JSON. Prints and compares as the integer it is; computing with it
// exceeds 64 bits.
struct LargeInteger {
  uint64_t value = 0;
};

using TextPtr = std::shared_ptr<const Text>;
using ListPtr = std::shared_ptr<const List>;
using DictPtr = std::shared_ptr<const Dict>;
using NamespacePtr = std::shared_ptr<Namespace>;
using FunctionPtr = std::shared_ptr<const Function>;
using LoopPtr = std::shared_ptr<LoopState>;

class Value {
 public:
  using Variant = std::variant<Undefined, None, bool, int64_t, LargeInteger, double, TextPtr,
                               ListPtr, DictPtr, NamespacePtr, FunctionPtr, LoopPtr>;
  Value() : variant_(Undefined{}) {}
  Value(Variant variant) : variant_(std::move(variant)) {}  // NOLINT: implicit by design

  template <typename T>
  bool Is() const {
    return std::holds_alternative<T>(variant_);
  }
  template <typename T>
  const T& As() const {
    return std::get<T>(variant_);
  }
  bool is_undefined() const { return Is<Undefined>(); }
  bool is_none() const { return Is<None>(); }
  bool is_text() const { return Is<TextPtr>(); }
  bool is_list() const { return Is<ListPtr>(); }
  bool is_dict() const { return Is<DictPtr>(); }
  bool is_integer() const { return Is<int64_t>() || Is<bool>(); }  // as in Python, bool is one
  bool is_large() const { return Is<LargeInteger>(); }
  bool is_whole() const { return is_integer() || is_large(); }
  bool is_number() const { return is_whole() || Is<double>(); }

  const Text& text() const { return *As<TextPtr>(); }
  const std::string& bytes() const { return text().bytes(); }
  const List& list() const { return *As<ListPtr>(); }
  const Dict& dict() const { return *As<DictPtr>(); }
  int64_t integer() const { return Is<bool>() ? (As<bool>() ? 1 : 0) : As<int64_t>(); }
  uint64_t large() const { return As<LargeInteger>().value; }
  double number() const {
    if (is_large()) return static_cast<double>(large());
    return Is<double>() ? As<double>() : static_cast<double>(integer());
  }

 private:
  Variant variant_;
};

enum class ListKind { kList, kTuple, kRange, kKeys, kValues, kItems, kGenerator };
struct List {
  ListKind kind = ListKind::kList;
  std::vector<Value> items;
  mutable bool consumed = false;  // generators give their items once
  bool is_group = false;          // of groupby: a tuple with the attributes grouper and list
  int nesting = 1;
  uint64_t weight = 0;
  Heap* heap = nullptr;
  List(ListKind k, std::vector<Value> i, Heap* h);
  List(const List&) = delete;
  ~List();
};

// Keeps the order of insertion.
class Dict {
 public:
  explicit Dict(Heap* heap) : heap_(heap) {}
  Dict(const Dict&) = delete;
  ~Dict();
  // `key` must be hashable (KeyOf).
  void Set(const Value& key, Value value);
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;
  const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
  int nesting() const { return nesting_; }
  uint64_t weight() const { return weight_; }

 private:
  std::vector<std::pair<Value, Value>> entries_;
  std::unordered_map<std::string, size_t> index_;
  Heap* heap_;
  uint64_t counted_bytes_ = 0;
  int nesting_ = 1;
  uint64_t weight_ = 16;
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> entries;
  const Value* Find(std::string_view name) const;
  void Set(std::string_view name, Value value);
};

struct Function {
  std::string name;
  std::function<Result<Value>(Runtime&, const Arguments&)> call;
  int nesting = 1;  // of what `call` holds
};

struct LoopState {
  std::vector<Value> items;
  size_t index0 = 0;
  int64_t depth0 = 0;
  std::vector<Value> last_changed;
  bool has_changed_before = false;
  FunctionPtr recurse;  // of a recursive loop
  int nesting = 1;
};

// What a call carries.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // One entry for each parameter, in order; absent ones are empty. Fails on too many arguments, on
  // unknown names, and on fewer than `required`. `function` is for the message.
  Result<std::vector<std::optional<Value>>> Bind(std::string_view function,
                                                 std::vector<std::string_view> parameters,
                                                 size_t required = 0) const;
  const Value* FindNamed(std::string_view name) const;
};

// What one rendering shares: budgets and the clock.
struct Runtime {
  explicit Runtime(uint64_t memory_max_bytes) : heap(memory_max_bytes) {}
  Runtime(const Runtime&) = delete;
  // Empties the namespaces, which may hold one another in a circle.
  ~Runtime();

  Heap heap;
  uint64_t steps_left = 0;
  uint64_t output_max_bytes = 0;
  int64_t now_seconds = 0;
  int depth = 0;

  // Counts `steps`; fails when none are left or the heap is exhausted.
  Status Step(uint64_t steps = 1);
  // Counts work on `bytes` bytes.
  Status StepBytes(uint64_t bytes) { return Step(1 + bytes / 64); }
  // Counts a walk over all of `value`.
  Status StepOver(const Value& value);

  Value MakeText(Text text);
  Value MakeText(std::string trusted) { return MakeText(Text(std::move(trusted))); }
  Value MakeText(TextBuilder builder) { return MakeText(std::move(builder).Build()); }
  Value MakeList(std::vector<Value> items, ListKind kind = ListKind::kList);
  Value MakeGroup(Value grouper, std::vector<Value> members);
  std::shared_ptr<Dict> NewDict() { return std::make_shared<Dict>(&heap); }
  Value MakeNamespace(std::vector<std::pair<std::string, Value>> entries);

 private:
  std::vector<NamespacePtr> namespaces_;
};

Value MakeUndefined(std::string why);
// `nesting` is that of the deepest value that `call` holds.
Value MakeFunction(std::string name, std::function<Result<Value>(Runtime&, const Arguments&)> call,
                   int nesting = 0);
// How many levels of containers a value has.
int NestingOf(const Value& value);
uint64_t WeightOf(const Value& value);

// "str", "int", "dict", ...: Python's name of the type.
std::string TypeName(const Value& value);
bool IsTruthy(const Value& value);
// Whether any text inside is untrusted. Work is bounded by the value's size.
bool HasUntrusted(const Value& value);
// Python's ==.
bool Equal(const Value& a, const Value& b);
// Python's <; an error for types without order.
Result<bool> Less(const Value& a, const Value& b);
// The items that iterating gives: characters, elements, keys. An error for what cannot be iterated.
Result<std::vector<Value>> Iterate(Runtime& runtime, const Value& value);
// len(); an error for what has none.
Result<int64_t> Length(const Value& value);
// An error with Python's kind of message for a value used where it cannot be.
Error TypeError(std::string message);
// For an undefined value, the error that using it raises; else OK.
Status CheckDefined(const Value& value);

}  // namespace baton::jinja
