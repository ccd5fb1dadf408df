// What a request says, what the model advises, and what is left to habit.
#include "serve/openai.h"

#include <gmock/gmock.h>

namespace baton::serve {
namespace {

CompletionRequest Parsed(std::string_view body) {
  auto parsed = ParseCompletion(body, /*chat=*/false, /*random_seed=*/7);
  if (const auto* failure = std::get_if<ParseFailure>(&parsed)) {
    ADD_FAILURE() << failure->error.message;
    return {};
  }
  return std::get<CompletionRequest>(std::move(parsed));
}

std::string Refusal(std::string_view body) {
  const auto parsed = ParseCompletion(body, /*chat=*/false, /*random_seed=*/7);
  const auto* failure = std::get_if<ParseFailure>(&parsed);
  return failure == nullptr ? "accepted" : failure->error.message;
}

TEST(Sampling, TheRequestComesBeforeTheModelAndTheModelBeforeHabit) {
  const SamplingChoice advice{.temperature = 0.3f, .top_k = 5, .top_p = 0.7f};
  CompletionRequest silent = Parsed(R"({"model":"m","prompt":"p"})");
  Settle(advice, silent);
  EXPECT_FLOAT_EQ(silent.sampling.temperature, 0.3f);
  EXPECT_EQ(silent.sampling.top_k, 5);
  EXPECT_FLOAT_EQ(silent.sampling.top_p, 0.7f);
  EXPECT_FLOAT_EQ(silent.sampling.min_p, 0.05f);
  EXPECT_EQ(silent.sampling.seed, 7U);

  CompletionRequest definite =
      Parsed(R"({"model":"m","prompt":"p","temperature":0,"top_k":0,"min_p":0.5,"seed":3})");
  Settle(advice, definite);
  EXPECT_FLOAT_EQ(definite.sampling.temperature, 0);
  EXPECT_EQ(definite.sampling.top_k, 0);
  EXPECT_FLOAT_EQ(definite.sampling.min_p, 0.5f);
  EXPECT_EQ(definite.sampling.seed, 3U);

  CompletionRequest usual = Parsed(R"({"model":"m","prompt":"p","top_p":0})");
  Settle({}, usual);
  EXPECT_FLOAT_EQ(usual.sampling.temperature, 0.8f);
  EXPECT_EQ(usual.sampling.top_k, 1) << "top_p 0 leaves the most likely token";
  EXPECT_FLOAT_EQ(usual.sampling.top_p, 1);
}

TEST(Sampling, RefusalsNameTheFieldAndTheValue) {
  using testing::AllOf, testing::HasSubstr;
  EXPECT_THAT(Refusal(R"({"model":"m","prompt":"p","temperature":2.5})"),
              AllOf(HasSubstr("temperature"), HasSubstr("2.5")));
  EXPECT_THAT(Refusal(R"({"model":"m","prompt":"p","top_k":-1})"), HasSubstr("top_k"));
  EXPECT_THAT(Refusal(R"({"model":"m","prompt":"p","top_p":"x"})"), HasSubstr("top_p"));
  EXPECT_THAT(Refusal(R"({"prompt":"p"})"), HasSubstr("model"));
  EXPECT_THAT(Refusal(R"([1])"), HasSubstr("object"));
  EXPECT_THAT(Refusal(R"({"model":"m","prompt":"p","metadata":[{"n":-1e733}]})"),
              AllOf(HasSubstr("'n'"), HasSubstr("range")));
}

TEST(Messages, AreReadyForTemplates) {
  const auto parsed = ParseCompletion(R"({"model": "m", "messages": [
      {"role": "user", "content": "Hi", "name": null},
      {"role": "assistant", "content": null, "reasoning": "why", "tool_calls": [{"id": null}]},
      {"role": "assistant", "content": "", "thinking": "a", "reasoning_content": "b"}]})",
                                      /*chat=*/true, /*random_seed=*/7);
  const auto* request = std::get_if<CompletionRequest>(&parsed);
  ASSERT_NE(request, nullptr);
  EXPECT_EQ(request->template_input.at("messages"), json::parse(R"([
      {"role": "user", "content": "Hi"},
      {"role": "assistant", "reasoning": "why", "thinking": "why", "reasoning_content": "why",
       "tool_calls": [{"id": null}]},
      {"role": "assistant", "content": "", "thinking": "a", "reasoning_content": "b"}])"));
}

TEST(Fields, AMisspeltFieldIsNamed) {
  const json::object object = json::parse(R"({"model":"m","contxt":1})").as_object();
  Fields fields(object);
  fields.Text("model");
  fields.Text("split");
  fields.RefuseOthers();
  ASSERT_TRUE(fields.error());
  EXPECT_EQ(fields.error()->param, "contxt");
  EXPECT_THAT(fields.error()->message, testing::HasSubstr("it has: model, split"));
}

}  // namespace
}  // namespace baton::serve
