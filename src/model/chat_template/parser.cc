#include "model/chat_template/parser.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "model/chat_template/filters.h"
#include "model/chat_template/lexer.h"

namespace baton::jinja {
namespace {

Value Constant(std::string text) {
  return Value(TextPtr(std::make_shared<Text>(std::move(text))));
}

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Template> Run() {
    Template parsed;
    BATON_ASSIGN_OR_RETURN(parsed.body, ParseBody({}));
    return parsed;
  }

 private:
  // Counts nesting while it lives.
  class Nesting {
   public:
    explicit Nesting(int& depth) : depth_(depth) { ++depth_; }
    Nesting(const Nesting&) = delete;
    ~Nesting() { --depth_; }

   private:
    int& depth_;
  };

  // Jinja refuses a template that names an unknown filter or test, but not for what it names below
  // an `if` without a scope of its own between (there, a template may ask first whether it exists).
  class Frame {
   public:
    Frame(Parser& parser, bool below_if)
        : parser_(parser), saved_(std::exchange(parser.below_if_, below_if)) {}
    Frame(const Frame&) = delete;
    ~Frame() { parser_.below_if_ = saved_; }

   private:
    Parser& parser_;
    const bool saved_;
  };

  void NoteUnknown(std::string_view kind, std::string_view name) {
    unknown_.push_back(Fail(fmt::format("No {} named '{}'.", kind, name)));
  }
  // To be called where an expression ends.
  Status CheckUnknown() {
    const std::vector<Error> unknown = std::exchange(unknown_, {});
    return below_if_ || unknown.empty() ? OkStatus() : Status(unknown.front());
  }

  // --- tokens ---

  const Token& Now() const { return tokens_[at_]; }
  const Token& Ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool AtOperator(std::string_view text) const {
    return Now().kind == TokenKind::kOperator && Now().text == text;
  }
  bool AtName(std::string_view text) const {
    return Now().kind == TokenKind::kName && Now().text == text;
  }
  bool SkipOperator(std::string_view text) {
    const bool there = AtOperator(text);
    if (there) ++at_;
    return there;
  }
  bool SkipName(std::string_view text) {
    const bool there = AtName(text);
    if (there) ++at_;
    return there;
  }
  Error Fail(std::string_view what) const {
    return MakeError(Code::kInvalidArgument, "chat template, line {}: {}", Now().line, what);
  }
  std::string Shown() const {
    switch (Now().kind) {
      case TokenKind::kEnd:
        return "end of template";
      case TokenKind::kBlockEnd:
        return "end of statement block";
      case TokenKind::kVariableEnd:
        return "end of print statement";
      default:
        return "'" + Now().text + "'";
    }
  }
  Status Expect(std::string_view op) {
    if (!SkipOperator(op)) return Fail(fmt::format("expected '{}', got {}", op, Shown()));
    return OkStatus();
  }
  Result<std::string> ExpectName() {
    if (Now().kind != TokenKind::kName)
      return Fail(fmt::format("expected a name, got {}", Shown()));
    return tokens_[at_++].text;
  }
  Status ExpectBlockEnd() {
    if (Now().kind != TokenKind::kBlockEnd)
      return Fail(fmt::format("expected end of statement block, got {}", Shown()));
    ++at_;
    return OkStatus();
  }
  template <typename Node>
  ExprPtr Make(Node node, int line) const {
    return std::make_unique<Expr>(Expr{std::move(node), line});
  }
  Status CheckDepth() const {
    return depth_ > kParseDepthMax ? Status(Fail("nested too deeply")) : OkStatus();
  }
  Status CountLink() {
    return ++links_ > kChainMax ? Status(Fail("an expression is too long")) : OkStatus();
  }

  // --- statements ---

  bool AtEndTag(const std::vector<std::string_view>& ends) const {
    if (Now().kind != TokenKind::kBlockBegin || Ahead().kind != TokenKind::kName) return false;
    return std::find(ends.begin(), ends.end(), Ahead().text) != ends.end();
  }

  // Statements up to a tag in `ends`, which is not consumed; up to the end if there are none.
  Result<Body> ParseBody(const std::vector<std::string_view>& ends) {
    const Nesting nesting(depth_);
    BATON_RETURN_IF_ERROR(CheckDepth());
    Body body;
    while (!AtEndTag(ends)) {
      if (Now().kind == TokenKind::kEnd) {
        if (ends.empty()) return body;
        return Fail(fmt::format("unexpected end of template, looking for '{}'", ends.back()));
      }
      BATON_ASSIGN_OR_RETURN(Statement statement, ParseStatement());
      body.push_back(std::move(statement));
    }
    return body;
  }

  // A body and its end tag "{% END %}".
  Result<Body> ParseBlock(std::string_view end) {
    BATON_ASSIGN_OR_RETURN(Body body, ParseBody({end}));
    at_ += 2;
    BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    return body;
  }

  Result<Statement> ParseStatement() {
    BATON_ASSIGN_OR_RETURN(Statement statement, ParseAnyStatement());
    BATON_RETURN_IF_ERROR(CheckUnknown());
    return statement;
  }

  Result<Statement> ParseAnyStatement() {
    links_ = 0;
    const int line = Now().line;
    if (Now().kind == TokenKind::kData) return Statement{DataStatement{tokens_[at_++].text}, line};
    if (Now().kind == TokenKind::kVariableBegin) {
      ++at_;
      BATON_ASSIGN_OR_RETURN(ExprPtr value, ParseTuple());
      if (Now().kind != TokenKind::kVariableEnd)
        return Fail(fmt::format("expected end of print statement, got {}", Shown()));
      ++at_;
      return Statement{PrintStatement{std::move(value)}, line};
    }
    ++at_;  // {%
    return ParseTag(line);
  }

  Result<Statement> ParseTag(int line) {
    BATON_ASSIGN_OR_RETURN(const std::string tag, ExpectName());
    if (tag == "if") return ParseIf(line);
    if (tag == "for") return ParseFor(line);
    if (tag == "set") return ParseSet(line);
    if (tag == "macro") return ParseMacro(line);
    if (tag == "call") return ParseCall(line);
    if (tag == "filter") return ParseFilterBlock(line);
    if (tag == "with") return ParseWith(line);
    if (tag == "generation") return ParseGeneration(line);
    if (tag == "block") return ParseNamedBlock(line);
    if (tag == "break" || tag == "continue") return ParseJump(tag, line);
    return Fail(fmt::format("encountered unknown tag '{}'", tag));
  }

  Result<Statement> ParseIf(int line) {
    IfStatement statement;
    const Frame frame(*this, true);
    while (true) {
      BATON_ASSIGN_OR_RETURN(ExprPtr test, ParseTuple(false));
      BATON_RETURN_IF_ERROR(CheckUnknown());
      BATON_RETURN_IF_ERROR(ExpectBlockEnd());
      BATON_ASSIGN_OR_RETURN(Body body, ParseBody({"elif", "else", "endif"}));
      statement.branches.emplace_back(std::move(test), std::move(body));
      ++at_;
      if (!SkipName("elif")) break;
    }
    if (SkipName("else")) {
      BATON_RETURN_IF_ERROR(ExpectBlockEnd());
      BATON_ASSIGN_OR_RETURN(statement.otherwise, ParseBlock("endif"));
    } else {
      ++at_;  // endif
      BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    }
    return Statement{std::move(statement), line};
  }

  Result<Statement> ParseFor(int line) {
    ForStatement statement;
    BATON_ASSIGN_OR_RETURN(statement.target, ParseTarget(false));
    if (!SkipName("in")) return Fail(fmt::format("expected 'in', got {}", Shown()));
    BATON_ASSIGN_OR_RETURN(statement.iterable, ParseTuple(false));
    BATON_RETURN_IF_ERROR(CheckUnknown());
    const Frame frame(*this, false);
    if (SkipName("if")) {
      BATON_ASSIGN_OR_RETURN(statement.condition, ParseExpression());
      BATON_RETURN_IF_ERROR(CheckUnknown());
    }
    statement.recursive = SkipName("recursive");
    BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    ++loops_;
    BATON_ASSIGN_OR_RETURN(statement.body, ParseBody({"else", "endfor"}));
    --loops_;
    ++at_;
    if (SkipName("else")) {
      BATON_RETURN_IF_ERROR(ExpectBlockEnd());
      BATON_ASSIGN_OR_RETURN(statement.otherwise, ParseBlock("endfor"));
    } else {
      ++at_;  // endfor
      BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    }
    return Statement{std::move(statement), line};
  }

  Result<Statement> ParseSet(int line) {
    BATON_ASSIGN_OR_RETURN(Target target, ParseTarget(true));
    if (SkipOperator("=")) {
      BATON_ASSIGN_OR_RETURN(ExprPtr value, ParseTuple());
      BATON_RETURN_IF_ERROR(ExpectBlockEnd());
      return Statement{SetStatement{std::move(target), std::move(value)}, line};
    }
    const Frame frame(*this, false);
    SetBlockStatement statement{std::move(target), nullptr, {}};
    if (AtOperator("|")) {
      BATON_ASSIGN_OR_RETURN(statement.filter, ParseFilters(nullptr));
      BATON_RETURN_IF_ERROR(CheckUnknown());
    }
    BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    BATON_ASSIGN_OR_RETURN(statement.body, ParseBlock("endset"));
    return Statement{std::move(statement), line};
  }

  Result<Target> ParseTarget(bool attributes) {
    std::vector<Target> targets;
    bool tuple = false;
    while (true) {
      const bool more = Now().kind == TokenKind::kName || AtOperator("(");
      if (!targets.empty() && (!more || AtName("in"))) break;
      BATON_ASSIGN_OR_RETURN(Target target, ParseOneTarget(attributes));
      targets.push_back(std::move(target));
      if (!SkipOperator(",")) break;
      tuple = true;
    }
    if (!tuple) return std::move(targets.front());
    Target all;
    all.targets = std::move(targets);
    return all;
  }

  Result<Target> ParseOneTarget(bool attributes) {
    const Nesting nesting(depth_);
    BATON_RETURN_IF_ERROR(CheckDepth());
    if (SkipOperator("(")) {
      BATON_ASSIGN_OR_RETURN(Target target, ParseTarget(false));
      BATON_RETURN_IF_ERROR(Expect(")"));
      return target;
    }
    Target target;
    BATON_ASSIGN_OR_RETURN(target.name, ExpectName());
    constexpr std::string_view kReserved[] = {"true", "false", "none", "True", "False", "None"};
    if (std::find(std::begin(kReserved), std::end(kReserved), target.name) != std::end(kReserved))
      return Fail(fmt::format("can't assign to '{}'", target.name));
    if (attributes && SkipOperator(".")) {
      BATON_ASSIGN_OR_RETURN(target.attribute, ExpectName());
    }
    return target;
  }

  Status ParseSignature(MacroDefinition& macro) {
    BATON_RETURN_IF_ERROR(Expect("("));
    while (!AtOperator(")")) {
      if (!macro.parameters.empty()) BATON_RETURN_IF_ERROR(Expect(","));
      if (AtOperator(")")) break;
      BATON_ASSIGN_OR_RETURN(std::string name, ExpectName());
      for (const auto& parameter : macro.parameters) {
        if (parameter.first == name) return Fail(fmt::format("duplicate argument '{}'", name));
      }
      ExprPtr otherwise;
      if (SkipOperator("=")) {
        BATON_ASSIGN_OR_RETURN(otherwise, ParseExpression());
      } else if (!macro.parameters.empty() && macro.parameters.back().second != nullptr) {
        return Fail("non-default argument follows default argument");
      }
      macro.parameters.emplace_back(std::move(name), std::move(otherwise));
    }
    return Expect(")");
  }

  // The body of a macro, noting which special names it uses.
  Status ParseMacroBody(MacroDefinition& macro, std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    macros_.push_back(&macro);
    Result<Body> body = ParseBlock(end);
    macros_.pop_back();
    loops_ = loops;
    if (!body.ok()) return body.error();
    macro.body = *std::move(body);
    return OkStatus();
  }

  Result<Statement> ParseMacro(int line) {
    MacroStatement statement;
    const Frame frame(*this, false);
    BATON_ASSIGN_OR_RETURN(statement.macro.name, ExpectName());
    BATON_RETURN_IF_ERROR(ParseSignature(statement.macro));
    BATON_RETURN_IF_ERROR(CheckUnknown());
    BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    BATON_RETURN_IF_ERROR(ParseMacroBody(statement.macro, "endmacro"));
    return Statement{std::move(statement), line};
  }

  Result<Statement> ParseCall(int line) {
    CallStatement statement;
    statement.caller.name = "caller";
    if (AtOperator("(")) BATON_RETURN_IF_ERROR(ParseSignature(statement.caller));
    BATON_ASSIGN_OR_RETURN(statement.call, ParseExpression());
    if (!std::holds_alternative<CallExpr>(statement.call->node)) return Fail("expected a call");
    BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    BATON_RETURN_IF_ERROR(CheckUnknown());
    const Frame frame(*this, false);
    BATON_RETURN_IF_ERROR(ParseMacroBody(statement.caller, "endcall"));
    return Statement{std::move(statement), line};
  }

  Result<Statement> ParseFilterBlock(int line) {
    FilterStatement statement;
    const Frame frame(*this, false);
    BATON_ASSIGN_OR_RETURN(statement.filter, ParseFilterChain(nullptr));
    BATON_RETURN_IF_ERROR(CheckUnknown());
    BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    BATON_ASSIGN_OR_RETURN(statement.body, ParseBlock("endfilter"));
    return Statement{std::move(statement), line};
  }

  Result<Statement> ParseWith(int line) {
    WithStatement statement;
    while (Now().kind != TokenKind::kBlockEnd) {
      if (!statement.bindings.empty()) BATON_RETURN_IF_ERROR(Expect(","));
      BATON_ASSIGN_OR_RETURN(Target target, ParseOneTarget(false));
      BATON_RETURN_IF_ERROR(Expect("="));
      BATON_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
      statement.bindings.emplace_back(std::move(target), std::move(value));
    }
    ++at_;
    BATON_RETURN_IF_ERROR(CheckUnknown());
    const Frame frame(*this, false);
    BATON_ASSIGN_OR_RETURN(statement.body, ParseBlock("endwith"));
    return Statement{std::move(statement), line};
  }

  // {% generation %}: marks what the model says, for training; renders as it is.
  Result<Statement> ParseGeneration(int line) {
    BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    const Frame frame(*this, false);
    WithStatement statement;
    BATON_ASSIGN_OR_RETURN(statement.body, ParseBlock("endgeneration"));
    return Statement{std::move(statement), line};
  }

  // {% block NAME %}: without inheritance, a scope of its own.
  Result<Statement> ParseNamedBlock(int line) {
    BATON_RETURN_IF_ERROR(ExpectName().status());
    BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    const Frame frame(*this, false);
    WithStatement statement;
    BATON_ASSIGN_OR_RETURN(statement.body, ParseBody({"endblock"}));
    at_ += 2;
    if (Now().kind == TokenKind::kName) ++at_;  // {% endblock NAME %}
    BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    return Statement{std::move(statement), line};
  }

  Result<Statement> ParseJump(const std::string& tag, int line) {
    if (loops_ == 0) return Fail(fmt::format("'{}' outside loop", tag));
    BATON_RETURN_IF_ERROR(ExpectBlockEnd());
    if (tag == "block") return ParseNamedBlock(line);
    if (tag == "break") return Statement{BreakStatement{}, line};
    return Statement{ContinueStatement{}, line};
  }

  // --- expressions, loosest first ---

  // One expression, or several with commas: a tuple. Where `conditional` is false, `a if b` is not
  // taken (its `if` belongs to a loop).
  Result<ExprPtr> ParseTuple(bool conditional = true) {
    const int line = Now().line;
    std::vector<ExprPtr> items;
    bool tuple = false;
    while (true) {
      if (AtTupleEnd()) break;
      BATON_ASSIGN_OR_RETURN(ExprPtr item, conditional ? ParseExpression() : ParseOr());
      items.push_back(std::move(item));
      if (!SkipOperator(",")) break;
      tuple = true;
    }
    if (items.empty()) return Fail(fmt::format("expected an expression, got {}", Shown()));
    if (!tuple) return std::move(items.front());
    return Make(ListLiteral{ListKind::kTuple, std::move(items)}, line);
  }

  bool AtTupleEnd() const {
    return Now().kind == TokenKind::kVariableEnd || Now().kind == TokenKind::kBlockEnd ||
           AtOperator(")");
  }

  Result<ExprPtr> ParseExpression() {
    const Nesting nesting(depth_);
    BATON_RETURN_IF_ERROR(CheckDepth());
    const size_t unknown = unknown_.size();
    BATON_ASSIGN_OR_RETURN(ExprPtr value, ParseOr());
    while (AtName("if")) {
      const int line = tokens_[at_++].line;
      BATON_RETURN_IF_ERROR(CountLink());
      BATON_ASSIGN_OR_RETURN(ExprPtr test, ParseOr());
      ExprPtr otherwise;
      if (SkipName("else")) {
        BATON_ASSIGN_OR_RETURN(otherwise, ParseExpression());
      }
      unknown_.resize(unknown, Fail(""));
      value = Make(Conditional{std::move(test), std::move(value), std::move(otherwise)}, line);
    }
    return value;
  }

  Result<ExprPtr> ParseOr() {
    BATON_ASSIGN_OR_RETURN(ExprPtr left, ParseAnd());
    while (AtName("or")) {
      const int line = tokens_[at_++].line;
      BATON_RETURN_IF_ERROR(CountLink());
      BATON_ASSIGN_OR_RETURN(ExprPtr right, ParseAnd());
      left = Make(Logic{false, std::move(left), std::move(right)}, line);
    }
    return left;
  }

  Result<ExprPtr> ParseAnd() {
    BATON_ASSIGN_OR_RETURN(ExprPtr left, ParseNot());
    while (AtName("and")) {
      const int line = tokens_[at_++].line;
      BATON_RETURN_IF_ERROR(CountLink());
      BATON_ASSIGN_OR_RETURN(ExprPtr right, ParseNot());
      left = Make(Logic{true, std::move(left), std::move(right)}, line);
    }
    return left;
  }

  Result<ExprPtr> ParseNot() {
    const Nesting nesting(depth_);
    BATON_RETURN_IF_ERROR(CheckDepth());
    const int line = Now().line;
    if (!SkipName("not")) return ParseComparison();
    BATON_ASSIGN_OR_RETURN(ExprPtr operand, ParseNot());
    return Make(Unary{UnaryOperator::kNot, std::move(operand)}, line);
  }

  std::optional<Operator> SkipComparison() {
    struct Row {
      std::string_view text;
      Operator op;
    };
    constexpr Row kRows[] = {{"==", Operator::kEqual},  {"!=", Operator::kNotEqual},
                             {"<", Operator::kLess},    {"<=", Operator::kLessEqual},
                             {">", Operator::kGreater}, {">=", Operator::kGreaterEqual}};
    for (const Row& row : kRows) {
      if (SkipOperator(row.text)) return row.op;
    }
    if (SkipName("in")) return Operator::kIn;
    const bool not_in = AtName("not") && Ahead().kind == TokenKind::kName && Ahead().text == "in";
    if (!not_in) return std::nullopt;
    at_ += 2;
    return Operator::kNotIn;
  }

  Result<ExprPtr> ParseComparison() {
    const int line = Now().line;
    BATON_ASSIGN_OR_RETURN(ExprPtr first, ParseSum());
    Comparison comparison{std::move(first), {}};
    while (const auto op = SkipComparison()) {
      BATON_ASSIGN_OR_RETURN(ExprPtr operand, ParseSum());
      comparison.rest.emplace_back(*op, std::move(operand));
    }
    if (comparison.rest.empty()) return std::move(comparison.first);
    return Make(std::move(comparison), line);
  }

  struct OperatorRow {
    std::string_view text;
    Operator op;
  };
  std::optional<Operator> SkipAny(std::initializer_list<OperatorRow> rows) {
    for (const OperatorRow& row : rows) {
      if (SkipOperator(row.text)) return row.op;
    }
    return std::nullopt;
  }

  // Left-associative operators of one level over the next tighter one.
  template <typename Next>
  Result<ExprPtr> ParseLevel(std::initializer_list<OperatorRow> rows, Next next) {
    BATON_ASSIGN_OR_RETURN(ExprPtr left, (this->*next)());
    while (true) {
      const int line = Now().line;
      const auto op = SkipAny(rows);
      if (!op) return left;
      BATON_RETURN_IF_ERROR(CountLink());
      BATON_ASSIGN_OR_RETURN(ExprPtr right, (this->*next)());
      left = Make(Binary{*op, std::move(left), std::move(right)}, line);
    }
  }

  Result<ExprPtr> ParseSum() {
    return ParseLevel({{"+", Operator::kAdd}, {"-", Operator::kSubtract}}, &Parser::ParseConcat);
  }

  Result<ExprPtr> ParseConcat() {
    const int line = Now().line;
    BATON_ASSIGN_OR_RETURN(ExprPtr first, ParseProduct());
    if (!AtOperator("~")) return first;
    Concat concat;
    concat.parts.push_back(std::move(first));
    while (SkipOperator("~")) {
      BATON_ASSIGN_OR_RETURN(ExprPtr part, ParseProduct());
      concat.parts.push_back(std::move(part));
    }
    return Make(std::move(concat), line);
  }

  Result<ExprPtr> ParseProduct() {
    return ParseLevel({{"*", Operator::kMultiply},
                       {"//", Operator::kFloorDivide},
                       {"/", Operator::kDivide},
                       {"%", Operator::kModulo}},
                      &Parser::ParsePower);
  }

  Result<ExprPtr> ParsePower() {
    return ParseLevel({{"**", Operator::kPower}}, &Parser::ParseUnary);
  }

  Result<ExprPtr> ParseUnary() { return ParseSigned(true); }

  Result<ExprPtr> ParseSigned(bool with_filters) {
    const Nesting nesting(depth_);
    BATON_RETURN_IF_ERROR(CheckDepth());
    const int line = Now().line;
    ExprPtr value;
    if (SkipOperator("-")) {
      BATON_ASSIGN_OR_RETURN(ExprPtr operand, ParseSigned(false));
      value = Make(Unary{UnaryOperator::kNegate, std::move(operand)}, line);
    } else if (SkipOperator("+")) {
      BATON_ASSIGN_OR_RETURN(ExprPtr operand, ParseSigned(false));
      value = Make(Unary{UnaryOperator::kPlus, std::move(operand)}, line);
    } else {
      BATON_ASSIGN_OR_RETURN(value, ParsePrimary());
    }
    BATON_ASSIGN_OR_RETURN(value, ParsePostfix(std::move(value)));
    return with_filters ? ParseFiltersAndTests(std::move(value))
                        : Result<ExprPtr>(std::move(value));
  }

  Result<ExprPtr> ParsePrimary() {
    const Token& token = Now();
    switch (token.kind) {
      case TokenKind::kName:
        return ParseName();
      case TokenKind::kString:
        return ParseStrings();
      case TokenKind::kInteger:
        return ParseInteger();
      case TokenKind::kFloat: {
        double number = 0;
        const char* end = token.text.data() + token.text.size();
        const bool too_large =
            std::from_chars(token.text.data(), end, number).ec == std::errc::result_out_of_range;
        if (too_large && token.text.find("e-") == std::string::npos)
          number = std::numeric_limits<double>::infinity();
        ++at_;
        return Make(Literal{Value(number)}, token.line);
      }
      default:
        break;
    }
    if (SkipOperator("(")) return ParseParenthesis(token.line);
    if (SkipOperator("[")) return ParseList(token.line);
    if (SkipOperator("{")) return ParseDict(token.line);
    return Fail(fmt::format("unexpected {}", Shown()));
  }

  Result<ExprPtr> ParseName() {
    const Token& token = tokens_[at_++];
    if (token.text == "true" || token.text == "True") return Make(Literal{Value(true)}, token.line);
    if (token.text == "false" || token.text == "False")
      return Make(Literal{Value(false)}, token.line);
    if (token.text == "none" || token.text == "None")
      return Make(Literal{Value(None{})}, token.line);
    for (MacroDefinition* macro : macros_) {
      macro->uses_caller |= token.text == "caller";
      macro->uses_varargs |= token.text == "varargs";
      macro->uses_kwargs |= token.text == "kwargs";
    }
    return Make(Name{token.text}, token.line);
  }

  Result<ExprPtr> ParseStrings() {
    const int line = Now().line;
    std::string text;
    while (Now().kind == TokenKind::kString) text += tokens_[at_++].text;
    return Make(Literal{Constant(std::move(text))}, line);
  }

  Result<ExprPtr> ParseInteger() {
    const Token& token = tokens_[at_++];
    std::string_view digits = token.text;
    int base = 10;
    if (digits.size() > 2 && digits[0] == '0') {
      const char kind = static_cast<char>(digits[1] | 0x20);
      base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
      if (base != 10) digits.remove_prefix(2);
    }
    int64_t number = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
    if (error != std::errc() || end != digits.data() + digits.size())
      return Fail(fmt::format("'{}' is not a number below 2^63", token.text));
    return Make(Literal{Value(number)}, token.line);
  }

  Result<ExprPtr> ParseParenthesis(int line) {
    if (SkipOperator(")")) return Make(ListLiteral{ListKind::kTuple, {}}, line);
    BATON_ASSIGN_OR_RETURN(ExprPtr value, ParseTuple());
    BATON_RETURN_IF_ERROR(Expect(")"));
    return value;
  }

  Result<ExprPtr> ParseList(int line) {
    ListLiteral list;
    while (!AtOperator("]")) {
      if (!list.items.empty()) BATON_RETURN_IF_ERROR(Expect(","));
      if (AtOperator("]")) break;
      BATON_ASSIGN_OR_RETURN(ExprPtr item, ParseExpression());
      list.items.push_back(std::move(item));
    }
    ++at_;
    return Make(std::move(list), line);
  }

  Result<ExprPtr> ParseDict(int line) {
    DictLiteral dict;
    while (!AtOperator("}")) {
      if (!dict.entries.empty()) BATON_RETURN_IF_ERROR(Expect(","));
      if (AtOperator("}")) break;
      BATON_ASSIGN_OR_RETURN(ExprPtr key, ParseExpression());
      BATON_RETURN_IF_ERROR(Expect(":"));
      BATON_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
      dict.entries.emplace_back(std::move(key), std::move(value));
    }
    ++at_;
    return Make(std::move(dict), line);
  }

  Result<ExprPtr> ParsePostfix(ExprPtr value) {
    while (true) {
      const int line = Now().line;
      if (SkipOperator(".")) {
        BATON_ASSIGN_OR_RETURN(value, ParseDot(std::move(value), line));
      } else if (SkipOperator("[")) {
        BATON_ASSIGN_OR_RETURN(value, ParseSubscript(std::move(value), line));
      } else if (AtOperator("(")) {
        BATON_ASSIGN_OR_RETURN(CallArguments arguments, ParseArguments());
        value = Make(CallExpr{std::move(value), std::move(arguments)}, line);
      } else {
        return value;
      }
      BATON_RETURN_IF_ERROR(CountLink());
    }
  }

  Result<ExprPtr> ParseDot(ExprPtr object, int line) {
    if (Now().kind == TokenKind::kInteger) {
      BATON_ASSIGN_OR_RETURN(ExprPtr key, ParseInteger());
      return Make(Item{std::move(object), std::move(key)}, line);
    }
    BATON_ASSIGN_OR_RETURN(std::string name, ExpectName());
    return Make(Attribute{std::move(object), std::move(name)}, line);
  }

  Result<ExprPtr> ParseSubscript(ExprPtr object, int line) {
    ExprPtr bounds[3];
    int count = 0;
    bool slice = false;
    while (!AtOperator("]")) {
      if (SkipOperator(":")) {
        slice = true;
        if (++count > 2) return Fail("a slice has at most three parts");
        continue;
      }
      if (bounds[count] != nullptr) break;
      BATON_ASSIGN_OR_RETURN(bounds[count], ParseExpression());
    }
    if (!slice && AtOperator(","))
      return ParseTupleKey(std::move(object), std::move(bounds[0]), line);
    BATON_RETURN_IF_ERROR(Expect("]"));
    if (slice)
      return Make(SliceItem{std::move(object), std::move(bounds[0]), std::move(bounds[1]),
                            std::move(bounds[2])},
                  line);
    if (bounds[0] == nullptr) return Fail("expected a subscript expression");
    return Make(Item{std::move(object), std::move(bounds[0])}, line);
  }

  Result<ExprPtr> ParseTupleKey(ExprPtr object, ExprPtr first, int line) {
    ListLiteral key{ListKind::kTuple, {}};
    key.items.push_back(std::move(first));
    while (SkipOperator(",")) {
      if (AtOperator("]")) break;
      BATON_ASSIGN_OR_RETURN(ExprPtr item, ParseExpression());
      key.items.push_back(std::move(item));
    }
    BATON_RETURN_IF_ERROR(Expect("]"));
    return Make(Item{std::move(object), Make(std::move(key), line)}, line);
  }

  Result<CallArguments> ParseArguments() {
    BATON_RETURN_IF_ERROR(Expect("("));
    CallArguments arguments;
    bool first = true;
    while (!AtOperator(")")) {
      if (!std::exchange(first, false)) BATON_RETURN_IF_ERROR(Expect(","));
      if (AtOperator(")")) break;
      BATON_RETURN_IF_ERROR(ParseArgument(arguments));
    }
    ++at_;
    return arguments;
  }

  Status ParseArgument(CallArguments& arguments) {
    const bool has_named = !arguments.named.empty() || arguments.double_star != nullptr;
    if (SkipOperator("**")) {
      if (arguments.double_star != nullptr) return Fail("invalid syntax for function call");
      BATON_ASSIGN_OR_RETURN(arguments.double_star, ParseExpression());
      return OkStatus();
    }
    if (SkipOperator("*")) {
      if (arguments.star != nullptr || arguments.double_star != nullptr)
        return Fail("invalid syntax for function call");
      BATON_ASSIGN_OR_RETURN(arguments.star, ParseExpression());
      return OkStatus();
    }
    const bool named = Now().kind == TokenKind::kName && Ahead().kind == TokenKind::kOperator &&
                       Ahead().text == "=";
    if (named) {
      std::string name = Now().text;
      for (const auto& argument : arguments.named) {
        if (argument.first == name) return Fail(fmt::format("keyword argument repeated: {}", name));
      }
      at_ += 2;
      BATON_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
      arguments.named.emplace_back(std::move(name), std::move(value));
      return OkStatus();
    }
    if (has_named || arguments.star != nullptr) return Fail("invalid syntax for function call");
    BATON_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
    arguments.positional.push_back(std::move(value));
    return OkStatus();
  }

  Result<ExprPtr> ParseFiltersAndTests(ExprPtr value) {
    while (true) {
      const int line = Now().line;
      if (AtOperator("|")) {
        BATON_ASSIGN_OR_RETURN(value, ParseFilters(std::move(value)));
      } else if (SkipName("is")) {
        BATON_ASSIGN_OR_RETURN(value, ParseTest(std::move(value), line));
      } else if (AtOperator("(")) {
        BATON_ASSIGN_OR_RETURN(CallArguments arguments, ParseArguments());
        value = Make(CallExpr{std::move(value), std::move(arguments)}, line);
      } else {
        return value;
      }
      BATON_RETURN_IF_ERROR(CountLink());
    }
  }

  // "| a | b(c)": each applied to what comes before; null stands for a block's text.
  Result<ExprPtr> ParseFilters(ExprPtr value) {
    BATON_RETURN_IF_ERROR(Expect("|"));
    return ParseFilterChain(std::move(value));
  }

  Result<ExprPtr> ParseFilterChain(ExprPtr value) {
    while (true) {
      const int line = Now().line;
      BATON_ASSIGN_OR_RETURN(std::string name, ParseDottedName());
      if (!HasFilter(name)) NoteUnknown("filter", name);
      CallArguments arguments;
      if (AtOperator("(")) {
        BATON_ASSIGN_OR_RETURN(arguments, ParseArguments());
      }
      value = Make(FilterExpr{std::move(value), std::move(name), std::move(arguments)}, line);
      BATON_RETURN_IF_ERROR(CountLink());
      if (!SkipOperator("|")) return value;
    }
  }

  Result<std::string> ParseDottedName() {
    BATON_ASSIGN_OR_RETURN(std::string name, ExpectName());
    while (SkipOperator(".")) {
      BATON_ASSIGN_OR_RETURN(const std::string more, ExpectName());
      name += "." + more;
    }
    return name;
  }

  bool AtTestArgument() const {
    switch (Now().kind) {
      case TokenKind::kString:
      case TokenKind::kInteger:
      case TokenKind::kFloat:
        return true;
      case TokenKind::kName:
        return Now().text != "else" && Now().text != "or" && Now().text != "and";
      default:
        return AtOperator("[") || AtOperator("{");
    }
  }

  Result<ExprPtr> ParseTest(ExprPtr value, int line) {
    TestExpr test;
    test.value = std::move(value);
    test.negated = SkipName("not");
    BATON_ASSIGN_OR_RETURN(test.name, ParseDottedName());
    if (!HasTest(test.name)) NoteUnknown("test", test.name);
    if (AtOperator("(")) {
      BATON_ASSIGN_OR_RETURN(test.arguments, ParseArguments());
    } else if (AtTestArgument()) {
      if (AtName("is")) return Fail("you cannot chain multiple tests with is");
      BATON_ASSIGN_OR_RETURN(ExprPtr argument, ParsePrimary());
      BATON_ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
      test.arguments.positional.push_back(std::move(argument));
    }
    return Make(std::move(test), line);
  }

  const std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int links_ = 0;  // of the statement that is being parsed
  int loops_ = 0;  // around it, within one macro
  std::vector<MacroDefinition*> macros_;
  bool below_if_ = false;
  std::vector<Error> unknown_;  // filters and tests in the expression that is being parsed
};

}  // namespace

Result<Template> Parse(std::string_view source) {
  BATON_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  return Parser(std::move(tokens)).Run();
}

}  // namespace baton::jinja
