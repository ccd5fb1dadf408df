#include "model/text/excerpt.h"

#include <gmock/gmock.h>

#include "model/text/utf8.h"

namespace baton {
namespace {

TEST(Excerpt, KeepsBothEndsOfALongText) {
  EXPECT_EQ(Excerpt("short", 5), "short");
  const std::string text = "begin" + std::string(1000, '.') + "end";
  const std::string shown = Excerpt(text, 62);
  EXPECT_EQ(shown, "begin" + std::string(15, '.') + " [978 bytes] " + std::string(7, '.') + "end");
  EXPECT_LE(Excerpt(text, 20).size(), 20u);
}

TEST(Excerpt, CutsNoCharacter) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += i % 3 == 0 ? "é" : i % 3 == 1 ? "中" : "🦙";
  for (size_t bytes = 32; bytes < 132; ++bytes) {
    const std::string shown = Excerpt(text, bytes);
    EXPECT_EQ(ValidUtf8Prefix(shown), shown.size());
    EXPECT_LE(shown.size(), bytes);
  }
  // What is no text at all stays what it is.
  EXPECT_EQ(Excerpt(std::string(100, '\x80'), 40), " [100 bytes] ");
}

}  // namespace
}  // namespace baton
