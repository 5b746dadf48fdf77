#include "guard/budget/token_usage.h"

#include <gtest/gtest.h>

namespace bottle::guard {
namespace {

using Layout = UsageReader::Layout;

// Feeds the text in pieces of several sizes, and checks that the result is the same.
UsageReader reader_of(std::string_view text, Layout layout) {
  UsageReader whole(layout);
  whole.feed(text);
  for (size_t size = 1; size < text.size(); size = size * 3 + 1) {
    UsageReader reader(layout);
    for (size_t at = 0; at < text.size(); at += size) reader.feed(text.substr(at, size));
    EXPECT_EQ(reader.usage(), whole.usage()) << "in pieces of " << size;
    EXPECT_EQ(reader.model(), whole.model()) << "in pieces of " << size;
  }
  return whole;
}

struct Case {
  const char* what;
  Layout layout;
  const char* answer;
  TokenUsage usage;
  const char* model;
};

const Case kCases[] = {
    {"a stream of Anthropic",
     Layout::events,
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\"usage\":{"
     "\"input_tokens\":12,\"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":2000,\"cache_creation\":{"
     "\"ephemeral_5m_input_tokens\":100},\"output_tokens\":1}}}\n\nevent: content_block_delta\ndata: {\"type\":"
     "\"content_block_delta\",\"delta\":{\"text\":\"\\\"usage\\\": {\\\"output_tokens\\\": 99999}\"}}\n\n"
     "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
     "\"output_tokens\":345}}\n\n",
     {12, 2000, 100, 345},
     "claude-x"},
    {"JSON of Anthropic, with a tool's input that looks like usage",
     Layout::json,
     "{\"model\":\"claude-x\",\"content\":[{\"type\":\"tool_use\",\"input\":{\"usage\":{\"output_tokens\":70000},"
     "\"output_tokens\":80000}}],\n \"usage\": {\"input_tokens\" : 7,\n\"output_tokens\": 9}}",
     {7, 0, 0, 9},
     "claude-x"},
    {"JSON of OpenAI, with cached tokens",
     Layout::json,
     "{\"model\": \"gpt-y\", \"usage\": {\"prompt_tokens\": 100, \"completion_tokens\": 9, \"total_tokens\": 109, "
     "\"prompt_tokens_details\": {\"cached_tokens\": 60}, \"completion_tokens_details\": {\"reasoning_tokens\": 5}}}",
     {40, 60, 0, 9},
     "gpt-y"},
    {"a stream of chat completions, whose last part has the usage",
     Layout::events,
     "data: {\"model\":\"gpt-y\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n"
     "data: {\"model\":\"gpt-y\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n"
     "data: [DONE]\n\n",
     {5, 0, 0, 2},
     "gpt-y"},
    {"a stream of responses",
     Layout::events,
     "data: {\"type\":\"response.created\",\"response\":{\"model\":\"gpt-y\",\"usage\":null}}\n\ndata: {\"type\":"
     "\"response.completed\",\"response\":{\"output\":[{\"usage\":{\"output_tokens\":4000}}],\"usage\":{"
     "\"input_tokens\":30,\"input_tokens_details\":{\"cached_tokens\":10},\"output_tokens\":4}}}\n\n",
     {20, 10, 0, 4},
     "gpt-y"},
    {"a stream of Gemini, with sums that grow",
     Layout::events,
     "data: {\"usageMetadata\":{\"promptTokenCount\":50,\"candidatesTokenCount\":1,\"totalTokenCount\":6}}\r\n\r\n"
     "data: {\"usageMetadata\":{\"promptTokenCount\":50,\"cachedContentTokenCount\":20,\"candidatesTokenCount\":8,"
     "\"thoughtsTokenCount\":3,\"promptTokensDetails\":[{\"tokenCount\":50}]},\"modelVersion\":\"gemini-z\"}\r\n\r\n",
     {30, 20, 0, 11},
     "gemini-z"},
    {"Gemini's list of answers",
     Layout::json,
     "[{\"usageMetadata\": {\"promptTokenCount\": 5}},\n{\"usageMetadata\": {\"promptTokenCount\": 5, "
     "\"candidatesTokenCount\": 8}}]",
     {5, 0, 0, 8},
     ""},
    {"no usage", Layout::json, "{\"usage\":null,\"output_tokens\":5,\"model\":7}", {}, ""},
    {"usage of another shape",
     Layout::json,
     "{\"usage\":[{\"output_tokens\":5}],\"usage\":{\"output_tokens\":\"7\",\"input_tokens\":-3,\"prompt_tokens\":null,"
     "\"x\":{\"output_tokens\":9}}}",
     {},
     ""},
    {"a broken event does not hide the next",
     Layout::events,
     "data: {\"a\":[[[{\"b\":\"\n\ndata: {\"usage\":{\"output_tokens\":3}}\n\n",
     {0, 0, 0, 3},
     ""},
    {"an event that ends in the middle of a number",
     Layout::events,
     "data: {\"usage\":{\"output_tokens\":31\n",
     {0, 0, 0, 31},
     ""},
    {"a number without end",
     Layout::json,
     "{\"usage\":{\"output_tokens\":99999999999999999999999999}}",
     {0, 0, 0, UsageReader::kMost},
     ""},
    {"more cached tokens than there are",
     Layout::json,
     "{\"usage\":{\"input_tokens\":5,\"input_tokens_details\":{\"cached_tokens\":50}}}",
     {0, 5, 0, 0},
     ""},
    {"an object so deep that its place is not known",
     Layout::json,
     "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"usage\":{\"output_tokens\":9}}}}}}}},\"usage\":{"
     "\"output_tokens\":2}}",
     {0, 0, 0, 2},
     ""},
};

TEST(UsageReader, ReadsTheUsageOfEachProvider) {
  for (const Case& each : kCases) {
    auto reader = reader_of(each.answer, each.layout);
    auto usage = reader.usage();
    EXPECT_EQ(usage, each.usage) << each.what << ": " << usage.input << " " << usage.cache_read << " "
                                 << usage.cache_write << " " << usage.output;
    EXPECT_EQ(reader.model(), each.model) << each.what;
  }
}

TEST(UsageReader, IgnoresLongOrEscapedNamesOfModels) {
  EXPECT_EQ(reader_of("{\"model\":\"" + std::string(500, 'm') + "\"}", Layout::json).model(), "");
  EXPECT_EQ(reader_of("{\"model\":\"a\\u0062\"}", Layout::json).model(), "");
}

}  // namespace
}  // namespace bottle::guard
