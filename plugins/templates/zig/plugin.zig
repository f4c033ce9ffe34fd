//! Two checks over a list of words: no-secrets fails on them, hide replaces them.

const std = @import("std");
const abi = @import("abi.zig");

const schema =
    \\{"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}}
;

const found = abi.Reason{ .code = .of("word_found"), .message = .of("A word was found that must not pass.") };

comptime {
    abi.exported(&describe, "tidegate:plugin/about@0.1.0#describe");
    abi.exported(&check, "tidegate:plugin/guardrail@0.1.0#check");
    abi.exported(&needs, "tidegate:plugin/guardrail-stream@0.1.0#needs");
    abi.exported(&window, "tidegate:plugin/guardrail-stream@0.1.0#window");
}

const manifest = abi.Manifest{ .id = .of("my-guard"), .version = .of("0.1.0"), .checks = .of(&.{
    .{ .name = .of("no-secrets"), .streams = true, .mutates = false, .params_schema_json = .of(schema) },
    .{ .name = .of("hide"), .streams = true, .mutates = true, .params_schema_json = .of(schema) },
}) };

fn describe() callconv(.c) *const abi.Manifest {
    return &manifest;
}

fn check(given: *const abi.CheckArguments) callconv(.c) *const abi.Result(abi.Judgement) {
    return answer(abi.Judgement, judge(given.check.slice(), given.params_json.slice(), given.subject.pieces.slice()));
}

fn judge(name: []const u8, params: []const u8, pieces: []const abi.Piece) Error!abi.Judgement {
    const words = try wordsOf(name, params);
    var masks: std.ArrayList(abi.Mask) = .empty;
    for (pieces, 0..) |piece, at| {
        const spans = try find(words, piece.text.slice(), 0);
        if (spans.len > 0) try masks.append(allocator, .{ .piece = @intCast(at), .spans = .of(spans) });
    }
    if (masks.items.len == 0) return .{};
    if (hides(name)) return .{ .verdict = .{ .tag = .mask, .value = .{ .mask = .of(masks.items) } } };
    return .{ .verdict = .{ .tag = .fail, .value = .{ .reason = found } } };
}

fn needs(
    name: [*]const u8,
    name_len: usize,
    params: [*]const u8,
    params_len: usize,
) callconv(.c) *const abi.Result(abi.WindowNeeds) {
    return answer(abi.WindowNeeds, reach(name[0..name_len], params[0..params_len]));
}

// To know that a word begins at a position, the rest of the longest word must be seen.
fn reach(name: []const u8, params: []const u8) Error!abi.WindowNeeds {
    var longest: usize = 1;
    for (try wordsOf(name, params)) |word| longest = @max(longest, word.len);
    return .{ .lookahead = @intCast(longest - 1), .overlap = 0 };
}

fn window(
    name: [*]const u8,
    name_len: usize,
    params: [*]const u8,
    params_len: usize,
    text: [*]const u8,
    text_len: usize,
    overlap: u32,
    _: u32,
    _: [*]const u8,
    _: usize,
    _: u32,
    _: [*]const u8,
    _: usize,
) callconv(.c) *const abi.Result(abi.WindowAnswer) {
    return answer(abi.WindowAnswer, look(name[0..name_len], params[0..params_len], text[0..text_len], overlap));
}

fn look(name: []const u8, params: []const u8, text: []const u8, overlap: u32) Error!abi.WindowAnswer {
    const spans = try find(try wordsOf(name, params), text, overlap);
    if (spans.len == 0) return .{};
    if (hides(name)) return .{ .verdict = .{ .tag = .mask, .value = .{ .mask = .of(spans) } } };
    return .{ .verdict = .{ .tag = .fail, .value = .{ .reason = found } } };
}

const allocator = abi.arena.allocator();

const Error = error{ UnknownCheck, BadParams, OutOfMemory };

fn answer(T: type, said: Error!T) *const abi.Result(T) {
    const result = allocator.create(abi.Result(T)) catch @trap();
    result.* = if (said) |value| .{ .value = .{ .ok = value } } else |failed| .{ .failed = true, .value = .{ .err = switch (failed) {
        error.UnknownCheck => .{ .name = .of("UnknownCheck"), .message = .of("there is no such check") },
        error.BadParams => .{ .name = .of("ParamsError"), .message = .of("words must be a list of texts, none of them empty") },
        error.OutOfMemory => @trap(),
    } } };
    return result;
}

fn hides(name: []const u8) bool {
    return std.mem.eql(u8, name, "hide");
}

fn wordsOf(name: []const u8, json: []const u8) Error![]const []const u8 {
    if (!hides(name) and !std.mem.eql(u8, name, "no-secrets")) return error.UnknownCheck;
    const Params = struct { words: []const std.json.Value = &.{.{ .string = "swordfish" }} };
    const options = std.json.ParseOptions{ .ignore_unknown_fields = true };
    const params = std.json.parseFromSliceLeaky(Params, allocator, json, options) catch return error.BadParams;
    if (params.words.len == 0) return error.BadParams;
    const words = try allocator.alloc([]const u8, params.words.len);
    for (params.words, words) |value, *word| {
        if (value != .string or value.string.len == 0) return error.BadParams;
        word.* = value.string;
    }
    return words;
}

// The spans of all words from a byte on, the longest where several begin.
fn find(words: []const []const u8, text: []const u8, from: usize) Error![]const abi.Span {
    var spans: std.ArrayList(abi.Span) = .empty;
    var at = from;
    while (at < text.len) {
        var length: usize = 0;
        for (words) |word| {
            if (word.len > length and std.mem.startsWith(u8, text[at..], word)) length = word.len;
        }
        if (length > 0) {
            try spans.append(allocator, .{ .start = @intCast(at), .end = @intCast(at + length), .replacement = .of("[hidden]") });
        }
        at += @max(length, 1);
    }
    return spans.items;
}
