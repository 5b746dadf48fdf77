#!/usr/bin/env python3
"""A stand-in for the Messages API, with which the real Claude Code can run a scripted conversation.

It chooses the next step by the number of tool results in the conversation. It accepts only the real token, so a
conversation that works proves that the guard replaced the agent's placeholder with the token. Uses only the standard
library.

    messages_api.py --listen 127.0.0.1:8443 --cert c.pem --key k.pem --token-file token --script demo.json [--log log.jsonl]
"""

import argparse
import hmac
import itertools
import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from https_server import Handler, Server  # noqa: E402

counter = itertools.count(1)


def tool_results(messages):
    return sum(
        1
        for message in messages
        if message.get("role") == "user" and isinstance(message.get("content"), list)
        for block in message["content"]
        if isinstance(block, dict) and block.get("type") == "tool_result"
    )


def prompt_of(messages):
    for message in messages:
        if message.get("role") != "user":
            continue
        content = message.get("content")
        if isinstance(content, str):
            return content
        texts = [b.get("text", "") for b in content if isinstance(b, dict) and b.get("type") == "text"]
        texts = [t for t in texts if not t.startswith("<system-reminder>")]
        if texts:
            return texts[-1]
    return ""


class Api(Handler):
    server_version = "bottle-standin-messages"

    def authorized(self):
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(value.strip().encode(), self.server.token)

    def handle_any(self):
        body = self.body()
        path = self.path.split("?")[0]
        ok = self.authorized()
        self.server.record(
            event="request", method=self.command, path=self.path, host=self.headers.get("Host"), authorized=ok,
            credential=bool(self.headers.get("Authorization") or self.headers.get("x-api-key")), bytes=len(body))
        if self.command == "POST" and path in ("/v1/messages", "/v1/messages/count_tokens"):
            if not ok:
                return self.reply(401, {"type": "error", "error": {
                    "type": "authentication_error", "message": "stand-in: not the expected bearer token"}})
            try:
                request = json.loads(body)
                messages = request["messages"]
            except (ValueError, KeyError, TypeError):
                return self.reply(400, {"type": "error", "error": {
                    "type": "invalid_request_error", "message": "stand-in: no JSON with messages"}})
            if path.endswith("count_tokens"):
                return self.reply(200, {"input_tokens": max(1, len(body) // 4)})
            return self.answer(request, messages)
        if path in ("/", "/health", "/api/hello"):
            return self.reply(200, {"message": "hello from the stand-in of the Messages API"})
        if path == "/v1/models":
            return self.reply(200, {"data": [], "has_more": False, "first_id": None, "last_id": None})
        if path.startswith("/api/event_logging"):
            return self.reply(200, {"accepted_count": 0, "rejected_count": 0})
        # Claude Code accepts an empty answer to requests for profiles, settings, feature flags and metrics.
        return self.reply(404, {"type": "error", "error": {
            "type": "not_found_error", "message": "stand-in of the Messages API: " + path + " is not played"}})

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any

    def next_step(self, request, messages):
        """Returns the content blocks of the next answer. Other questions (titles, quota checks) have no tools, and
        their answer is one word."""
        names = {tool.get("name") for tool in request.get("tools") or []}
        if not names:
            return [{"type": "text", "text": "stand-in"}]
        done = tool_results(messages)
        steps = self.server.script["steps"]
        if done >= len(steps):
            text = self.server.script.get("final", "Done (said by the stand-in).")
            return [{"type": "text", "text": text.replace("{prompt}", prompt_of(messages))}]
        step = steps[done]
        blocks = [{"type": "text", "text": step["say"]}] if step.get("say") else []
        if step["tool"] not in names:
            return [{"type": "text", "text": "stand-in: this client offers no tool " + step["tool"]}]
        blocks.append({"type": "tool_use", "id": "toolu_standin%06d" % next(counter), "name": step["tool"],
                       "input": step["input"]})
        return blocks

    def answer(self, request, messages):
        blocks = self.next_step(request, messages)
        stop = "tool_use" if any(b["type"] == "tool_use" for b in blocks) else "end_turn"
        self.server.record(event="answer", results=tool_results(messages), tools=len(request.get("tools") or []),
                           stop=stop, results_text=self.result_texts(messages))
        message = {"id": "msg_standin%06d" % next(counter), "type": "message", "role": "assistant",
                   "model": request.get("model", "stand-in"), "content": [], "stop_reason": None, "stop_sequence": None,
                   "usage": {"input_tokens": 10, "output_tokens": 1}}
        if not request.get("stream"):
            message.update(content=blocks, stop_reason=stop)
            return self.reply(200, message)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-Stand-In", "bottle tests; not the real service")
        self.end_headers()
        self.event({"type": "message_start", "message": message})
        for index, block in enumerate(blocks):
            if block["type"] == "text":
                self.event({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}})
                for part in [block["text"][i:i + 40] for i in range(0, len(block["text"]), 40)]:
                    self.event({"type": "content_block_delta", "index": index,
                                "delta": {"type": "text_delta", "text": part}})
            else:
                self.event({"type": "content_block_start", "index": index, "content_block": {**block, "input": {}}})
                self.event({"type": "content_block_delta", "index": index,
                            "delta": {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}})
            self.event({"type": "content_block_stop", "index": index})
        self.event({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None},
                    "usage": {"output_tokens": 12}})
        self.event({"type": "message_stop"})
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    @staticmethod
    def result_texts(messages):
        """Returns the results of the tools in the last call. Tests read the agent's own view from them."""
        if not messages or not isinstance(messages[-1].get("content"), list):
            return []
        texts = []
        for block in messages[-1]["content"]:
            if isinstance(block, dict) and block.get("type") == "tool_result":
                content = block.get("content")
                if isinstance(content, list):
                    content = "".join(c.get("text", "") for c in content if isinstance(c, dict))
                texts.append(str(content)[:4000])
        return texts

    def event(self, data):
        text = ("event: %s\ndata: %s\n\n" % (data["type"], json.dumps(data))).encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:8443", metavar="ADDR:PORT", help="port 0: any; printed as a line")
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--token-file", required=True, help="the file that holds the one accepted token")
    parser.add_argument("--script", required=True, help='JSON: {"steps":[{"say","tool","input"}],"final":"text"} or a list')
    parser.add_argument("--log", help="one JSON line for each request; never the token")
    args = parser.parse_args()
    with open(args.script) as file:
        script = json.load(file)
    if isinstance(script, list):
        script = {"steps": [s for s in script if "tool" in s], "final": next((s["text"] for s in script if "text" in s), "Done.")}
    host, _, port = args.listen.rpartition(":")
    server = Server((host.strip("[]"), int(port)), Api, args.cert, args.key, args.log)
    with open(args.token_file, "rb") as file:
        server.token = file.read().strip()
    if not server.token:
        sys.exit("messages_api: the token file is empty")
    server.script = script
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(json.dumps({"listening": "%s:%d" % (host, server.server_port)}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
