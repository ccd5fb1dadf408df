// The syntax tree of a template: plain data, immutable after parsing.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/chat_template/operators.h"
#include "model/chat_template/value.h"

namespace baton::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<const Expr>;

struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star;         // *list
  ExprPtr double_star;  // **dict
};

struct Literal {
  Value value;
};
struct Name {
  std::string name;
};
struct ListLiteral {
  ListKind kind = ListKind::kList;
  std::vector<ExprPtr> items;
};
struct DictLiteral {
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
enum class UnaryOperator { kNot, kNegate, kPlus };
struct Unary {
  UnaryOperator op;
  ExprPtr operand;
};
struct Binary {
  Operator op;
  ExprPtr left;
  ExprPtr right;
};
struct Logic {  // `and`, `or`
  bool is_and = false;
  ExprPtr left;
  ExprPtr right;
};
struct Comparison {  // a < b <= c
  ExprPtr first;
  std::vector<std::pair<Operator, ExprPtr>> rest;
};
struct Concat {  // a ~ b ~ c
  std::vector<ExprPtr> parts;
};
struct Conditional {
  ExprPtr test;
  ExprPtr then;
  ExprPtr otherwise;  // may be null
};
struct Attribute {
  ExprPtr object;
  std::string name;
};
struct Item {
  ExprPtr object;
  ExprPtr key;
};
struct SliceItem {
  ExprPtr object;
  ExprPtr start;  // these may be null
  ExprPtr stop;
  ExprPtr step;
};
struct CallExpr {
  ExprPtr callee;
  CallArguments arguments;
};
struct FilterExpr {
  ExprPtr value;  // null: the text of the block that is filtered
  std::string name;
  CallArguments arguments;
};
struct TestExpr {
  ExprPtr value;
  std::string name;
  CallArguments arguments;
  bool negated = false;
};

struct Expr {
  std::variant<Literal, Name, ListLiteral, DictLiteral, Unary, Binary, Logic, Comparison, Concat,
               Conditional, Attribute, Item, SliceItem, CallExpr, FilterExpr, TestExpr>
      node;
  int line = 1;
};

// What an assignment or a loop binds: a name, an attribute of a namespace, or several targets.
struct Target {
  std::string name;
  std::string attribute;        // not empty: name.attribute
  std::vector<Target> targets;  // not empty: unpack into these
};

struct Statement;
using Body = std::vector<Statement>;

struct DataStatement {
  std::string text;
};
struct PrintStatement {
  ExprPtr value;
};
struct IfStatement {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct ForStatement {
  Target target;
  ExprPtr iterable;
  ExprPtr condition;  // may be null
  Body body;
  Body otherwise;
  bool recursive = false;
};
struct SetStatement {
  Target target;
  ExprPtr value;
};
struct SetBlockStatement {
  Target target;
  ExprPtr filter;  // may be null
  Body body;
};
struct MacroDefinition {
  std::string name;
  std::vector<std::pair<std::string, ExprPtr>> parameters;  // default may be null
  Body body;
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};
struct MacroStatement {
  MacroDefinition macro;
};
struct CallStatement {
  MacroDefinition caller;
  ExprPtr call;
};
struct FilterStatement {
  ExprPtr filter;
  Body body;
};
struct WithStatement {
  std::vector<std::pair<Target, ExprPtr>> bindings;
  Body body;
};
struct BreakStatement {};
struct ContinueStatement {};

struct Statement {
  std::variant<DataStatement, PrintStatement, IfStatement, ForStatement, SetStatement,
               SetBlockStatement, MacroStatement, CallStatement, FilterStatement, WithStatement,
               BreakStatement, ContinueStatement>
      node;
  int line = 1;
};

struct Template {
  Body body;
};

}  // namespace baton::jinja
