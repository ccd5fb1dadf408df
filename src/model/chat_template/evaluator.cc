#include "model/chat_template/evaluator.h"

#include <algorithm>

#include "model/chat_template/access.h"
#include "model/chat_template/filters.h"
#include "model/chat_template/globals.h"
#include "model/chat_template/python_format.h"

namespace baton::jinja {
namespace {

// The names of one block; inner blocks see those of outer ones.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string, Value>> names;

  const Value* Find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
      for (const auto& [key, value] : scope->names) {
        if (key == name) return &value;
      }
    }
    return nullptr;
  }
  void Set(std::string_view name, Value value) {
    for (auto& [key, old] : names) {
      if (key == name) {
        old = std::move(value);
        return;
      }
    }
    names.emplace_back(name, std::move(value));
  }
};
using ScopePtr = std::shared_ptr<Scope>;

// A round of a loop makes a scope: it costs as much as so many plain steps.
constexpr uint64_t kStepsPerRound = 4;

// What happens after a statement.
enum class Flow { kNext, kBreak, kContinue };

class Evaluator {
 public:
  Evaluator(Runtime& runtime, std::vector<std::pair<std::string, Value>> variables)
      : runtime_(runtime) {
    const auto globals = std::make_shared<Scope>();
    globals->names = Globals();
    const auto given = std::make_shared<Scope>();
    given->parent = globals;
    given->names = std::move(variables);
    scope_ = std::make_shared<Scope>();
    scope_->parent = given;
  }
  Evaluator(const Evaluator&) = delete;
  // Macros hold the scopes that hold them: cut the circles.
  ~Evaluator() {
    for (const ScopePtr& scope : captured_) scope->names.clear();
  }

  Result<Text> Run(const Template& parsed) {
    BATON_RETURN_IF_ERROR(Execute(parsed.body));
    return std::move(out_).Build();
  }

 private:
  // --- bookkeeping ---

  // Makes a scope current while it lives.
  class Enter {
   public:
    Enter(Evaluator& evaluator, ScopePtr scope)
        : evaluator_(evaluator), saved_(std::exchange(evaluator.scope_, std::move(scope))) {}
    Enter(const Enter&) = delete;
    ~Enter() { evaluator_.scope_ = std::move(saved_); }

   private:
    Evaluator& evaluator_;
    ScopePtr saved_;
  };

  // Counts depth while it lives.
  class Deeper {
   public:
    explicit Deeper(Runtime& runtime) : runtime_(runtime) { ++runtime_.depth; }
    Deeper(const Deeper&) = delete;
    ~Deeper() { --runtime_.depth; }

   private:
    Runtime& runtime_;
  };

  Status Count() {
    if (runtime_.depth > kRunDepthMax)
      return MakeError(Code::kResourceExhausted, "the chat template recurses deeper than {}",
                       kRunDepthMax);
    return runtime_.Step();
  }

  static ScopePtr Inside(const ScopePtr& parent) {
    auto scope = std::make_shared<Scope>();
    scope->parent = parent;
    return scope;
  }

  ScopePtr Capture() {
    captured_.push_back(scope_);
    return scope_;
  }

  // Runs `body` and returns what it would have printed.
  Result<Value> Render(const Body& body) {
    TextBuilder saved = std::exchange(out_, TextBuilder());
    const Result<Flow> flow = Execute(body);
    TextBuilder printed = std::exchange(out_, std::move(saved));
    if (!flow.ok()) return flow.error();
    return runtime_.MakeText(std::move(printed));
  }

  // --- statements ---

  Result<Flow> Execute(const Body& body) {
    const Deeper deeper(runtime_);
    for (const Statement& statement : body) {
      BATON_RETURN_IF_ERROR(Count());
      Result<Flow> flow =
          std::visit([this](const auto& node) { return Execute(node); }, statement.node);
      if (!flow.ok() || *flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  Status CheckOutput() const {
    if (out_.size() > runtime_.output_max_bytes)
      return MakeError(Code::kResourceExhausted, "the chat template prints more than {} bytes",
                       runtime_.output_max_bytes);
    return OkStatus();
  }

  Result<Flow> Execute(const DataStatement& statement) {
    BATON_RETURN_IF_ERROR(runtime_.StepBytes(statement.text.size()));
    out_.Append(statement.text);
    BATON_RETURN_IF_ERROR(CheckOutput());
    return Flow::kNext;
  }

  Result<Flow> Execute(const PrintStatement& statement) {
    BATON_ASSIGN_OR_RETURN(const Value value, Eval(*statement.value));
    BATON_RETURN_IF_ERROR(runtime_.StepOver(value));
    AppendStr(out_, value);
    BATON_RETURN_IF_ERROR(CheckOutput());
    return Flow::kNext;
  }

  Result<Flow> Execute(const IfStatement& statement) {
    for (const auto& [test, body] : statement.branches) {
      BATON_ASSIGN_OR_RETURN(const Value value, Eval(*test));
      if (IsTruthy(value)) return Execute(body);
    }
    return Execute(statement.otherwise);
  }

  Result<Flow> Execute(const ForStatement& statement) {
    BATON_ASSIGN_OR_RETURN(const Value iterable, Eval(*statement.iterable));
    BATON_RETURN_IF_ERROR(Loop(statement, iterable, 0));
    return Flow::kNext;
  }

  // The items that pass the loop's condition.
  Result<std::vector<Value>> Filtered(const ForStatement& statement, std::vector<Value> items) {
    if (statement.condition == nullptr) return items;
    std::vector<Value> passed;
    for (Value& item : items) {
      const Enter enter(*this, Inside(scope_));
      BATON_RETURN_IF_ERROR(Assign(statement.target, item));
      BATON_ASSIGN_OR_RETURN(const Value passes, Eval(*statement.condition));
      if (IsTruthy(passes)) passed.push_back(std::move(item));
    }
    return passed;
  }

  Status Loop(const ForStatement& statement, const Value& iterable, int64_t depth0) {
    BATON_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(runtime_, iterable));
    const auto loop = std::make_shared<LoopState>();
    BATON_ASSIGN_OR_RETURN(loop->items, Filtered(statement, std::move(items)));
    loop->depth0 = depth0;
    for (const Value& item : loop->items)
      loop->nesting = std::max(loop->nesting, 1 + NestingOf(item));
    if (statement.recursive) loop->recurse = Recursion(statement, depth0);
    const ScopePtr outer = scope_;
    bool ended = false;  // a round without break or continue, as Jinja has it
    for (; loop->index0 < loop->items.size(); ++loop->index0) {
      BATON_RETURN_IF_ERROR(runtime_.Step(kStepsPerRound));
      const Enter enter(*this, Inside(outer));
      scope_->Set("loop", Value(loop));
      BATON_RETURN_IF_ERROR(Assign(statement.target, loop->items[loop->index0]));
      BATON_ASSIGN_OR_RETURN(const Flow flow, Execute(statement.body));
      ended |= flow == Flow::kNext;
      if (flow == Flow::kBreak) break;
    }
    if (ended) return OkStatus();
    const Enter enter(*this, Inside(outer));
    return Execute(statement.otherwise).status();
  }

  // loop(items) of a recursive loop.
  FunctionPtr Recursion(const ForStatement& statement, int64_t depth0) {
    const ScopePtr scope = Capture();
    const Value function = MakeFunction(
        "loop",
        [this, &statement, scope, depth0](Runtime&, const Arguments& arguments) -> Result<Value> {
          BATON_ASSIGN_OR_RETURN(const auto bound, arguments.Bind("loop", {"iterable"}, 1));
          const Deeper deeper(runtime_);
          BATON_RETURN_IF_ERROR(Count());
          const Enter enter(*this, scope);
          TextBuilder saved = std::exchange(out_, TextBuilder());
          const Status status = Loop(statement, *bound[0], depth0 + 1);
          TextBuilder printed = std::exchange(out_, std::move(saved));
          if (!status.ok()) return status.error();
          return runtime_.MakeText(std::move(printed));
        });
    return function.As<FunctionPtr>();
  }

  Result<Flow> Execute(const SetStatement& statement) {
    BATON_ASSIGN_OR_RETURN(const Value value, Eval(*statement.value));
    BATON_RETURN_IF_ERROR(Assign(statement.target, value));
    return Flow::kNext;
  }

  Result<Flow> Execute(const SetBlockStatement& statement) {
    Value value;
    {
      const Enter enter(*this, Inside(scope_));
      BATON_ASSIGN_OR_RETURN(value, Render(statement.body));
    }
    if (statement.filter != nullptr) {
      BATON_ASSIGN_OR_RETURN(value, FilterBlock(*statement.filter, value));
    }
    BATON_RETURN_IF_ERROR(Assign(statement.target, value));
    return Flow::kNext;
  }

  Result<Flow> Execute(const FilterStatement& statement) {
    Value value;
    {
      const Enter enter(*this, Inside(scope_));
      BATON_ASSIGN_OR_RETURN(value, Render(statement.body));
    }
    BATON_ASSIGN_OR_RETURN(value, FilterBlock(*statement.filter, value));
    AppendStr(out_, value);
    BATON_RETURN_IF_ERROR(CheckOutput());
    return Flow::kNext;
  }

  // Evaluates a chain of filters whose innermost value is `text`.
  Result<Value> FilterBlock(const Expr& filter, const Value& text) {
    const auto& node = std::get<FilterExpr>(filter.node);
    const Deeper deeper(runtime_);
    BATON_RETURN_IF_ERROR(Count());
    Value value = text;
    if (node.value != nullptr) {
      BATON_ASSIGN_OR_RETURN(value, FilterBlock(*node.value, text));
    }
    BATON_ASSIGN_OR_RETURN(const Arguments arguments, Eval(node.arguments));
    return ApplyFilter(runtime_, node.name, value, arguments);
  }

  Result<Flow> Execute(const WithStatement& statement) {
    const ScopePtr inner = Inside(scope_);
    for (const auto& [target, expression] : statement.bindings) {
      BATON_ASSIGN_OR_RETURN(const Value value, Eval(*expression));
      const Enter enter(*this, inner);
      BATON_RETURN_IF_ERROR(Assign(target, value));
    }
    const Enter enter(*this, inner);
    return Execute(statement.body);
  }

  Result<Flow> Execute(const MacroStatement& statement) {
    scope_->Set(statement.macro.name, MakeMacro(statement.macro));
    return Flow::kNext;
  }

  Result<Flow> Execute(const CallStatement& statement) {
    const auto& call = std::get<CallExpr>(statement.call->node);
    BATON_ASSIGN_OR_RETURN(const Value callee, Eval(*call.callee));
    BATON_ASSIGN_OR_RETURN(Arguments arguments, Eval(call.arguments));
    arguments.named.emplace_back("caller", MakeMacro(statement.caller));
    BATON_ASSIGN_OR_RETURN(const Value value, Call(runtime_, callee, arguments));
    BATON_RETURN_IF_ERROR(runtime_.StepOver(value));
    AppendStr(out_, value);
    BATON_RETURN_IF_ERROR(CheckOutput());
    return Flow::kNext;
  }

  Result<Flow> Execute(const BreakStatement&) { return Flow::kBreak; }
  Result<Flow> Execute(const ContinueStatement&) { return Flow::kContinue; }

  // --- assignment ---

  Status Assign(const Target& target, const Value& value) {
    if (!target.targets.empty()) return Unpack(target, value);
    if (target.attribute.empty()) {
      scope_->Set(target.name, value);
      return OkStatus();
    }
    const Value* object = scope_->Find(target.name);
    if (object == nullptr || !object->Is<NamespacePtr>())
      return TypeError(
          fmt::format("cannot assign attribute on non-namespace object '{}'", target.name));
    object->As<NamespacePtr>()->Set(target.attribute, value);
    return OkStatus();
  }

  Status Unpack(const Target& target, const Value& value) {
    BATON_RETURN_IF_ERROR(CheckDefined(value));
    BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime_, value));
    if (items.size() != target.targets.size())
      return TypeError(
          fmt::format("cannot unpack {} values into {}", items.size(), target.targets.size()));
    for (size_t i = 0; i < items.size(); ++i)
      BATON_RETURN_IF_ERROR(Assign(target.targets[i], items[i]));
    return OkStatus();
  }

  // --- macros ---

  Value MakeMacro(const MacroDefinition& macro) {
    const ScopePtr scope = Capture();
    return MakeFunction(macro.name, [this, &macro, scope](Runtime&, const Arguments& arguments) {
      return CallMacro(macro, scope, arguments);
    });
  }

  Result<Value> CallMacro(const MacroDefinition& macro, const ScopePtr& scope,
                          const Arguments& arguments) {
    const Deeper deeper(runtime_);
    BATON_RETURN_IF_ERROR(Count());
    const Enter enter(*this, Inside(scope));
    BATON_RETURN_IF_ERROR(BindPositional(macro, arguments));
    BATON_RETURN_IF_ERROR(BindNamed(macro, arguments));
    BATON_RETURN_IF_ERROR(BindDefaults(macro));
    return Render(macro.body);
  }

  Status BindPositional(const MacroDefinition& macro, const Arguments& arguments) {
    const size_t count = std::min(arguments.positional.size(), macro.parameters.size());
    for (size_t i = 0; i < count; ++i)
      scope_->Set(macro.parameters[i].first, arguments.positional[i]);
    if (arguments.positional.size() > count && !macro.uses_varargs)
      return TypeError(fmt::format("macro '{}' takes not more than {} argument(s)", macro.name,
                                   macro.parameters.size()));
    if (macro.uses_varargs) {
      std::vector<Value> rest(arguments.positional.begin() + static_cast<ptrdiff_t>(count),
                              arguments.positional.end());
      scope_->Set("varargs", runtime_.MakeList(std::move(rest), ListKind::kTuple));
    }
    return OkStatus();
  }

  Status BindNamed(const MacroDefinition& macro, const Arguments& arguments) {
    const auto rest = runtime_.NewDict();
    bool has_caller = false;
    for (const auto& [name, value] : arguments.named) {
      const bool known =
          std::any_of(macro.parameters.begin(), macro.parameters.end(),
                      [&name = name](const auto& parameter) { return parameter.first == name; });
      const bool is_caller = name == "caller" && macro.uses_caller;
      has_caller = has_caller || is_caller;
      if (!known && !is_caller && !macro.uses_kwargs)
        return TypeError(
            fmt::format("macro '{}' takes no keyword argument '{}'", macro.name, name));
      if (known && FindHere(name) != nullptr)
        return TypeError(fmt::format("macro '{}' got '{}' twice", macro.name, name));
      if (known || is_caller)
        scope_->Set(name, value);
      else
        rest->Set(runtime_.MakeText(name), value);
    }
    if (macro.uses_kwargs) scope_->Set("kwargs", Value(DictPtr(rest)));
    if (macro.uses_caller && !has_caller) scope_->Set("caller", MakeUndefined("No caller defined"));
    return OkStatus();
  }

  Status BindDefaults(const MacroDefinition& macro) {
    for (const auto& [name, otherwise] : macro.parameters) {
      if (FindHere(name) != nullptr) continue;
      Value value = MakeUndefined(fmt::format("parameter '{}' was not provided", name));
      if (otherwise != nullptr) {
        BATON_ASSIGN_OR_RETURN(value, Eval(*otherwise));
      }
      scope_->Set(name, std::move(value));
    }
    return OkStatus();
  }

  const Value* FindHere(std::string_view name) const {
    for (const auto& [key, value] : scope_->names) {
      if (key == name) return &value;
    }
    return nullptr;
  }

  // --- expressions ---

  Result<Value> Eval(const Expr& expression) {
    const Deeper deeper(runtime_);
    BATON_RETURN_IF_ERROR(Count());
    return std::visit([this](const auto& node) { return Eval(node); }, expression.node);
  }

  // None for what is not written.
  Result<Value> EvalOptional(const ExprPtr& expression) {
    return expression == nullptr ? Result<Value>(Value(None{})) : Eval(*expression);
  }

  Result<std::vector<Value>> EvalAll(const std::vector<ExprPtr>& expressions) {
    std::vector<Value> values;
    values.reserve(expressions.size());
    for (const ExprPtr& expression : expressions) {
      BATON_ASSIGN_OR_RETURN(Value value, Eval(*expression));
      values.push_back(std::move(value));
    }
    return values;
  }

  Result<Arguments> Eval(const CallArguments& call) {
    Arguments arguments;
    BATON_ASSIGN_OR_RETURN(arguments.positional, EvalAll(call.positional));
    for (const auto& [name, expression] : call.named) {
      BATON_ASSIGN_OR_RETURN(Value value, Eval(*expression));
      arguments.named.emplace_back(name, std::move(value));
    }
    if (call.star != nullptr) {
      BATON_ASSIGN_OR_RETURN(const Value list, Eval(*call.star));
      BATON_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime_, list));
      arguments.positional.insert(arguments.positional.end(), items.begin(), items.end());
    }
    if (call.double_star != nullptr) {
      BATON_ASSIGN_OR_RETURN(const Value dict, Eval(*call.double_star));
      if (!dict.is_dict()) return TypeError("argument after ** must be a mapping");
      for (const auto& [key, value] : dict.dict().entries()) {
        if (!key.is_text()) return TypeError("keywords must be strings");
        arguments.named.emplace_back(key.bytes(), value);
      }
    }
    return arguments;
  }

  Result<Value> Eval(const Literal& literal) { return literal.value; }

  Result<Value> Eval(const Name& name) {
    const Value* value = scope_->Find(name.name);
    return value != nullptr ? *value : MakeUndefined(fmt::format("'{}' is undefined", name.name));
  }

  Result<Value> Eval(const ListLiteral& list) {
    BATON_ASSIGN_OR_RETURN(std::vector<Value> items, EvalAll(list.items));
    return runtime_.MakeList(std::move(items), list.kind);
  }

  Result<Value> Eval(const DictLiteral& literal) {
    const auto dict = runtime_.NewDict();
    for (const auto& [key_expression, value_expression] : literal.entries) {
      BATON_ASSIGN_OR_RETURN(const Value key, Eval(*key_expression));
      BATON_ASSIGN_OR_RETURN(Value value, Eval(*value_expression));
      const bool hashable =
          !key.is_dict() && (!key.is_list() || key.list().kind == ListKind::kTuple);
      if (!hashable) return TypeError(fmt::format("unhashable type: '{}'", TypeName(key)));
      BATON_RETURN_IF_ERROR(runtime_.StepOver(key));
      dict->Set(key, std::move(value));
    }
    return Value(DictPtr(dict));
  }

  Result<Value> Eval(const Unary& unary) {
    BATON_ASSIGN_OR_RETURN(const Value operand, Eval(*unary.operand));
    if (unary.op == UnaryOperator::kNot) return Value(!IsTruthy(operand));
    return unary.op == UnaryOperator::kNegate ? Negate(operand) : Plus(operand);
  }

  Result<Value> Eval(const Binary& binary) {
    BATON_ASSIGN_OR_RETURN(const Value left, Eval(*binary.left));
    BATON_ASSIGN_OR_RETURN(const Value right, Eval(*binary.right));
    return Apply(runtime_, binary.op, left, right);
  }

  Result<Value> Eval(const Logic& logic) {
    BATON_ASSIGN_OR_RETURN(Value left, Eval(*logic.left));
    if (IsTruthy(left) != logic.is_and) return left;
    return Eval(*logic.right);
  }

  Result<Value> Eval(const Comparison& comparison) {
    BATON_ASSIGN_OR_RETURN(Value left, Eval(*comparison.first));
    Value answer(true);
    for (const auto& [op, expression] : comparison.rest) {
      BATON_ASSIGN_OR_RETURN(Value right, Eval(*expression));
      BATON_ASSIGN_OR_RETURN(answer, Apply(runtime_, op, left, right));
      if (!IsTruthy(answer)) break;
      left = std::move(right);
    }
    return answer;
  }

  Result<Value> Eval(const Concat& concat) {
    TextBuilder builder;
    for (const ExprPtr& part : concat.parts) {
      BATON_ASSIGN_OR_RETURN(const Value value, Eval(*part));
      BATON_RETURN_IF_ERROR(runtime_.StepOver(value));
      BATON_RETURN_IF_ERROR(runtime_.heap.Reserve(builder.size() + WeightOf(value)));
      AppendStr(builder, value);
    }
    return runtime_.MakeText(std::move(builder));
  }

  Result<Value> Eval(const Conditional& conditional) {
    BATON_ASSIGN_OR_RETURN(const Value test, Eval(*conditional.test));
    if (IsTruthy(test)) return Eval(*conditional.then);
    if (conditional.otherwise != nullptr) return Eval(*conditional.otherwise);
    return MakeUndefined("the inline if-expression evaluated to false and no else was defined");
  }

  Result<Value> Eval(const Attribute& attribute) {
    BATON_ASSIGN_OR_RETURN(const Value object, Eval(*attribute.object));
    return GetAttribute(runtime_, object, attribute.name);
  }

  Result<Value> Eval(const Item& item) {
    BATON_ASSIGN_OR_RETURN(const Value object, Eval(*item.object));
    BATON_ASSIGN_OR_RETURN(const Value key, Eval(*item.key));
    return GetItem(runtime_, object, key);
  }

  Result<Value> Eval(const SliceItem& slice) {
    BATON_ASSIGN_OR_RETURN(const Value object, Eval(*slice.object));
    BATON_ASSIGN_OR_RETURN(const Value start, EvalOptional(slice.start));
    BATON_ASSIGN_OR_RETURN(const Value stop, EvalOptional(slice.stop));
    BATON_ASSIGN_OR_RETURN(const Value step, EvalOptional(slice.step));
    return GetSlice(runtime_, object, start, stop, step);
  }

  Result<Value> Eval(const CallExpr& call) {
    BATON_ASSIGN_OR_RETURN(const Value callee, Eval(*call.callee));
    BATON_ASSIGN_OR_RETURN(const Arguments arguments, Eval(call.arguments));
    return Call(runtime_, callee, arguments);
  }

  Result<Value> Eval(const FilterExpr& filter) {
    BATON_ASSIGN_OR_RETURN(const Value value, Eval(*filter.value));
    BATON_ASSIGN_OR_RETURN(const Arguments arguments, Eval(filter.arguments));
    return ApplyFilter(runtime_, filter.name, value, arguments);
  }

  Result<Value> Eval(const TestExpr& test) {
    BATON_ASSIGN_OR_RETURN(const Value value, Eval(*test.value));
    BATON_ASSIGN_OR_RETURN(const Arguments arguments, Eval(test.arguments));
    BATON_ASSIGN_OR_RETURN(const bool passes, ApplyTest(runtime_, test.name, value, arguments));
    return Value(passes != test.negated);
  }

  Runtime& runtime_;
  ScopePtr scope_;
  std::vector<ScopePtr> captured_;  // by macros and recursive loops
  TextBuilder out_;
};

}  // namespace

Result<Text> Evaluate(const Template& parsed, Runtime& runtime,
                      std::vector<std::pair<std::string, Value>> variables) {
  return Evaluator(runtime, std::move(variables)).Run(parsed);
}

}  // namespace baton::jinja
