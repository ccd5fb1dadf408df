#include "model/chat_template/value.h"

#include <algorithm>
#include <cmath>

#include "model/chat_template/python_format.h"
#include "model/text/utf8.h"

namespace baton::jinja {
namespace {

constexpr uint64_t kTextOverheadBytes = 96;
constexpr uint64_t kWeightBytes = 16;
constexpr uint64_t kValueBytes = sizeof(Value);
constexpr uint64_t kEntryBytes = 2 * sizeof(Value) + 96;

// Equal keys have equal index keys: 1, 1.0 and True are one key in Python.
std::string IndexKeyOf(const Value& key) {
  if (key.is_text()) return "s" + key.bytes();
  if (key.is_number()) return "n" + FormatFloat(key.number());
  return "o" + Repr(key);
}

// Of whole numbers; a large one is above all others.
bool EqualWholes(const Value& a, const Value& b) {
  if (a.is_large() != b.is_large()) return false;
  return a.is_large() ? a.large() == b.large() : a.integer() == b.integer();
}

bool LessWholes(const Value& a, const Value& b) {
  if (a.is_large() != b.is_large()) return b.is_large();
  return a.is_large() ? a.large() < b.large() : a.integer() < b.integer();
}

bool EqualLists(const List& a, const List& b) {
  const bool comparable = a.kind == b.kind;
  return comparable && std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                                  [](const Value& x, const Value& y) { return Equal(x, y); });
}

bool EqualDicts(const Dict& a, const Dict& b) {
  if (a.entries().size() != b.entries().size()) return false;
  for (const auto& [key, value] : a.entries()) {
    const Value* other = b.Find(key);
    if (other == nullptr || !Equal(value, *other)) return false;
  }
  return true;
}

Result<bool> LessLists(const List& a, const List& b) {
  const size_t common = std::min(a.items.size(), b.items.size());
  for (size_t i = 0; i < common; ++i) {
    if (!Equal(a.items[i], b.items[i])) return Less(a.items[i], b.items[i]);
  }
  return a.items.size() < b.items.size();
}

std::vector<Value> Characters(Runtime& runtime, const Text& text) {
  std::vector<Value> characters;
  for (size_t at = 0; at < text.bytes().size();) {
    const size_t length = Utf8At(text.bytes(), at).length;
    TextBuilder builder;
    builder.AppendSlice(text, at, at + length);
    characters.push_back(runtime.MakeText(std::move(builder)));
    at += length;
  }
  return characters;
}

}  // namespace

Status Heap::Reserve(uint64_t bytes) const {
  if (bytes <= max_bytes_ && live_bytes_ <= max_bytes_ - bytes) return OkStatus();
  return MakeError(Code::kResourceExhausted, "the chat template needs more than {} bytes",
                   max_bytes_);
}

Status Heap::Check() const {
  if (too_large_)
    return MakeError(
        Code::kResourceExhausted,
        "a value of the chat template is nested deeper than {} or larger than {} bytes",
        kNestingMax, max_bytes_);
  return Reserve(0);
}

Text::Text(const Text& other)
    : markup(other.markup), bytes_(other.bytes_), untrusted_(other.untrusted_) {}

Text::Text(Text&& other) noexcept
    : markup(other.markup),
      bytes_(std::move(other.bytes_)),
      untrusted_(std::move(other.untrusted_)) {
  CHECK(other.heap_ == nullptr);
}

Text::~Text() {
  if (heap_ != nullptr) heap_->Remove(bytes_.capacity() + kTextOverheadBytes);
}

void Text::CountOn(Heap* heap) {
  heap_ = heap;
  heap_->Add(bytes_.capacity() + kTextOverheadBytes);
}

void TextBuilder::AppendSlice(const Text& text, size_t begin, size_t end) {
  const size_t base = bytes_.size();
  bytes_.append(text.bytes(), begin, end - begin);
  auto span = std::partition_point(text.untrusted().begin(), text.untrusted().end(),
                                   [begin](const Span& s) { return s.end <= begin; });
  for (; span != text.untrusted().end() && span->begin < end; ++span) {
    const size_t from = std::max(span->begin, begin);
    const size_t to = std::min(span->end, end);
    const Span moved{base + from - begin, base + to - begin};
    if (!untrusted_.empty() && untrusted_.back().end == moved.begin)
      untrusted_.back().end = moved.end;
    else
      untrusted_.push_back(moved);
  }
}

void TextBuilder::AppendDerived(std::string_view bytes, bool untrusted) {
  const size_t base = bytes_.size();
  bytes_ += bytes;
  if (!untrusted || bytes.empty()) return;
  if (!untrusted_.empty() && untrusted_.back().end == base)
    untrusted_.back().end = bytes_.size();
  else
    untrusted_.push_back({base, bytes_.size()});
}

List::List(ListKind k, std::vector<Value> i, Heap* h) : kind(k), items(std::move(i)), heap(h) {
  weight = kWeightBytes;
  for (const Value& item : items) {
    nesting = std::max(nesting, 1 + NestingOf(item));
    weight += WeightOf(item);
  }
  if (heap != nullptr && (nesting > kNestingMax || weight > heap->max_bytes())) {
    heap->MarkTooLarge();
    items.clear();
    nesting = 1;
    weight = kWeightBytes;
  }
  if (heap != nullptr) heap->Add(items.capacity() * kValueBytes + kTextOverheadBytes);
}

List::~List() {
  if (heap != nullptr) heap->Remove(items.capacity() * kValueBytes + kTextOverheadBytes);
}

Dict::~Dict() {
  if (heap_ != nullptr) heap_->Remove(counted_bytes_);
}

void Dict::Set(const Value& key, Value value) {
  const int nesting = 1 + std::max(NestingOf(key), NestingOf(value));
  const uint64_t weight = weight_ + WeightOf(key) + WeightOf(value);
  if (nesting > kNestingMax || (heap_ != nullptr && weight > heap_->max_bytes())) {
    if (heap_ != nullptr) heap_->MarkTooLarge();
    return;
  }
  nesting_ = std::max(nesting_, nesting);
  weight_ = weight;
  const auto [at, added] = index_.try_emplace(IndexKeyOf(key), entries_.size());
  if (!added) {
    entries_[at->second].second = std::move(value);
    return;
  }
  entries_.emplace_back(key, std::move(value));
  const uint64_t bytes = kEntryBytes + at->first.size();
  counted_bytes_ += bytes;
  if (heap_ != nullptr) heap_->Add(bytes);
}

const Value* Dict::Find(const Value& key) const {
  const auto at = index_.find(IndexKeyOf(key));
  return at == index_.end() ? nullptr : &entries_[at->second].second;
}

const Value* Dict::Find(std::string_view key) const {
  const auto at = index_.find("s" + std::string(key));
  return at == index_.end() ? nullptr : &entries_[at->second].second;
}

const Value* Namespace::Find(std::string_view name) const {
  for (const auto& [key, value] : entries) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Namespace::Set(std::string_view name, Value value) {
  for (auto& [key, old] : entries) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  entries.emplace_back(name, std::move(value));
}

const Value* Arguments::FindNamed(std::string_view name) const {
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

Result<std::vector<std::optional<Value>>> Arguments::Bind(std::string_view function,
                                                          std::vector<std::string_view> parameters,
                                                          size_t required) const {
  if (positional.size() > parameters.size())
    return TypeError(fmt::format("{}() takes at most {} arguments, not {}", function,
                                 parameters.size(), positional.size()));
  std::vector<std::optional<Value>> bound(positional.begin(), positional.end());
  bound.resize(parameters.size());
  for (const auto& [name, value] : named) {
    const auto at = std::find(parameters.begin(), parameters.end(), name);
    if (at == parameters.end())
      return TypeError(fmt::format("{}() has no parameter '{}'", function, name));
    std::optional<Value>& slot = bound[static_cast<size_t>(at - parameters.begin())];
    if (slot) return TypeError(fmt::format("{}() got '{}' twice", function, name));
    slot = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!bound[i]) return TypeError(fmt::format("{}() is missing '{}'", function, parameters[i]));
  }
  return bound;
}

Status Runtime::Step(uint64_t steps) {
  if (steps > steps_left)
    return MakeError(Code::kResourceExhausted, "the chat template takes too many steps");
  steps_left -= steps;
  return heap.Check();
}

Status Runtime::StepOver(const Value& value) {
  return StepBytes(WeightOf(value));
}

Value Runtime::MakeText(Text text) {
  auto shared = std::make_shared<Text>(std::move(text));
  shared->CountOn(&heap);
  return Value(TextPtr(std::move(shared)));
}

Value Runtime::MakeList(std::vector<Value> items, ListKind kind) {
  return Value(ListPtr(std::make_shared<List>(kind, std::move(items), &heap)));
}

Value Runtime::MakeGroup(Value grouper, std::vector<Value> members) {
  std::vector<Value> pair = {std::move(grouper), MakeList(std::move(members))};
  auto group = std::make_shared<List>(ListKind::kTuple, std::move(pair), &heap);
  group->is_group = true;
  return Value(ListPtr(std::move(group)));
}

Value Runtime::MakeNamespace(std::vector<std::pair<std::string, Value>> entries) {
  auto made = std::make_shared<Namespace>();
  made->entries = std::move(entries);
  namespaces_.push_back(made);
  heap.Add(kEntryBytes * (1 + made->entries.size()));
  return Value(std::move(made));
}

Runtime::~Runtime() {
  for (const NamespacePtr& made : namespaces_) made->entries.clear();
}

Value MakeUndefined(std::string why) {
  return Value(Undefined{std::make_shared<const std::string>(std::move(why))});
}

Value MakeFunction(std::string name, std::function<Result<Value>(Runtime&, const Arguments&)> call,
                   int nesting) {
  return Value(FunctionPtr(
      std::make_shared<Function>(Function{std::move(name), std::move(call), nesting + 1})));
}

int NestingOf(const Value& value) {
  if (value.is_list()) return value.list().nesting;
  if (value.is_dict()) return value.dict().nesting();
  if (value.Is<FunctionPtr>()) return value.As<FunctionPtr>()->nesting;
  if (value.Is<LoopPtr>()) return value.As<LoopPtr>()->nesting;
  return 0;
}

uint64_t WeightOf(const Value& value) {
  if (value.is_text()) return kWeightBytes + value.bytes().size();
  if (value.is_list()) return value.list().weight;
  if (value.is_dict()) return value.dict().weight();
  return kWeightBytes;
}

std::string TypeName(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "NoneType";
  if (value.Is<bool>()) return "bool";
  if (value.Is<int64_t>() || value.is_large()) return "int";
  if (value.Is<double>()) return "float";
  if (value.is_text()) return "str";
  if (value.is_dict()) return "dict";
  if (value.Is<NamespacePtr>()) return "Namespace";
  if (value.Is<FunctionPtr>()) return "function";
  if (value.Is<LoopPtr>()) return "LoopContext";
  switch (value.list().kind) {
    case ListKind::kList:
      return "list";
    case ListKind::kTuple:
      return "tuple";
    case ListKind::kRange:
      return "range";
    case ListKind::kKeys:
      return "dict_keys";
    case ListKind::kValues:
      return "dict_values";
    case ListKind::kItems:
      return "dict_items";
    case ListKind::kGenerator:
      return "generator";
  }
  return "object";
}

bool IsTruthy(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is_number()) return value.number() != 0;
  if (value.is_text()) return !value.bytes().empty();
  if (value.is_dict()) return !value.dict().entries().empty();
  if (value.is_list())
    return value.list().kind == ListKind::kGenerator || !value.list().items.empty();
  return true;
}

bool HasUntrusted(const Value& value) {
  if (value.is_text()) return value.text().has_untrusted();
  if (value.is_list()) {
    const auto& items = value.list().items;
    return std::any_of(items.begin(), items.end(), HasUntrusted);
  }
  if (value.is_dict()) {
    const auto& entries = value.dict().entries();
    return std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
      return HasUntrusted(entry.first) || HasUntrusted(entry.second);
    });
  }
  return value.Is<NamespacePtr>();  // may hold itself: assume so rather than look
}

bool Equal(const Value& a, const Value& b) {
  if (a.is_whole() && b.is_whole()) return EqualWholes(a, b);
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (a.is_text() && b.is_text()) return a.bytes() == b.bytes();
  if (a.is_list() && b.is_list()) return EqualLists(a.list(), b.list());
  if (a.is_dict() && b.is_dict()) return EqualDicts(a.dict(), b.dict());
  if (a.is_none() || a.is_undefined())
    return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
  if (a.Is<NamespacePtr>() && b.Is<NamespacePtr>())
    return a.As<NamespacePtr>() == b.As<NamespacePtr>();
  if (a.Is<FunctionPtr>() && b.Is<FunctionPtr>()) return a.As<FunctionPtr>() == b.As<FunctionPtr>();
  return false;
}

Result<bool> Less(const Value& a, const Value& b) {
  BATON_RETURN_IF_ERROR(CheckDefined(a));
  BATON_RETURN_IF_ERROR(CheckDefined(b));
  if (a.is_whole() && b.is_whole()) return LessWholes(a, b);
  if (a.is_number() && b.is_number()) return a.number() < b.number();
  if (a.is_text() && b.is_text()) return a.bytes() < b.bytes();  // UTF-8 keeps the order
  if (a.is_list() && b.is_list() && a.list().kind == b.list().kind &&
      (a.list().kind == ListKind::kList || a.list().kind == ListKind::kTuple))
    return LessLists(a.list(), b.list());
  return TypeError(fmt::format("'<' not supported between instances of '{}' and '{}'", TypeName(a),
                               TypeName(b)));
}

Result<std::vector<Value>> Iterate(Runtime& runtime, const Value& value) {
  if (value.is_undefined()) return std::vector<Value>();
  if (value.is_text()) {
    BATON_RETURN_IF_ERROR(runtime.Step(value.bytes().size()));
    BATON_RETURN_IF_ERROR(
        runtime.heap.Reserve(value.bytes().size() * (kTextOverheadBytes + kValueBytes)));
    return Characters(runtime, value.text());
  }
  if (value.is_list()) {
    const List& list = value.list();
    if (list.kind == ListKind::kGenerator && std::exchange(list.consumed, true))
      return std::vector<Value>();
    BATON_RETURN_IF_ERROR(runtime.Step(1 + list.items.size() / 8));
    return list.items;
  }
  if (value.is_dict()) {
    std::vector<Value> keys;
    for (const auto& [key, unused] : value.dict().entries()) keys.push_back(key);
    BATON_RETURN_IF_ERROR(runtime.Step(1 + keys.size() / 8));
    return keys;
  }
  return TypeError(fmt::format("'{}' object is not iterable", TypeName(value)));
}

Result<int64_t> Length(const Value& value) {
  if (value.is_undefined()) return int64_t{0};
  if (value.is_text()) return static_cast<int64_t>(CountUtf8(value.bytes()));
  if (value.is_dict()) return static_cast<int64_t>(value.dict().entries().size());
  if (value.is_list() && value.list().kind != ListKind::kGenerator)
    return static_cast<int64_t>(value.list().items.size());
  if (value.Is<LoopPtr>()) return static_cast<int64_t>(value.As<LoopPtr>()->items.size());
  return TypeError(fmt::format("object of type '{}' has no len()", TypeName(value)));
}

Error TypeError(std::string message) {
  return Error(Code::kInvalidArgument, std::move(message));
}

Status CheckDefined(const Value& value) {
  if (!value.is_undefined()) return OkStatus();
  const auto& why = value.As<Undefined>().why;
  return TypeError(why == nullptr ? "a value is undefined" : *why);
}

}  // namespace baton::jinja
