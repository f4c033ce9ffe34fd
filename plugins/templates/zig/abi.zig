//! The types of tidegate:plugin@0.1.0 as the component ABI lays them out. There is no generator for Zig yet.

const std = @import("std");

/// All memory of a call, given back when the host has read the answer.
pub var arena = std.heap.ArenaAllocator.init(std.heap.wasm_allocator);

/// The host puts arguments here.
export fn cabi_realloc(_: ?[*]u8, _: usize, alignment: usize, size: usize) [*]align(8) u8 {
    _ = alignment;
    // Even of nothing the address must be within memory.
    const at = arena.allocator().alignedAlloc(u8, .@"8", @max(size, 1)) catch @trap();
    return at.ptr;
}

fn finished(_: *const anyopaque) callconv(.c) void {
    _ = arena.reset(.retain_capacity);
}

/// Gives a function the name that the component ABI wants, and frees memory after it.
pub fn exported(comptime function: anytype, comptime name: []const u8) void {
    @export(function, .{ .name = name });
    @export(&finished, .{ .name = "cabi_post_" ++ name });
}

/// Where empty lists are: their address must be within memory too.
const nothing: u64 = 0;

pub fn List(T: type) type {
    return extern struct {
        at: [*]const T,
        len: usize,

        pub fn of(items: []const T) @This() {
            return .{ .at = if (items.len == 0) @ptrCast(&nothing) else items.ptr, .len = items.len };
        }

        pub fn slice(self: @This()) []const T {
            return self.at[0..self.len];
        }
    };
}

pub const Text = List(u8);

pub fn Option(T: type) type {
    return extern struct { some: bool = false, value: T = undefined };
}

pub const Pair = extern struct { name: Text, value: Text };

pub const ToolCall = extern struct { id: Text, name: Text, arguments_json: Text };

pub const Message = extern struct {
    role: Text,
    text: Option(Text),
    tool_calls: List(ToolCall),
    tool_call_id: Option(Text),
    parts_json: Option(Text),
    extra: List(Pair),
};

pub const CallView = extern struct {
    endpoint: Text,
    model: Text,
    provider: Option(Text),
    messages: List(Message),
    params_json: Option(Text),
    metadata: List(Pair),
    user: Option(Text),
    stream: bool,
    extra: List(Pair),
};

pub const Hook = enum(u8) { input, output };

pub const Piece = extern struct { kind: Text, role: Text, index: u32, text: Text };

pub const Subject = extern struct {
    hook: Hook,
    call: CallView,
    pieces: List(Piece),
    body_json: Option(Text),
    extra: List(Pair),
};

/// What check is called with: more arguments than fit into registers come in memory.
pub const CheckArguments = extern struct { check: Text, params_json: Text, subject: Subject };

pub const Span = extern struct { start: u32, end: u32, replacement: Text };

pub const Mask = extern struct { piece: u32, spans: List(Span) };

pub const Reason = extern struct { code: Text, message: Text };

pub const Verdict = extern struct {
    tag: enum(u8) { pass, mask, rewrite, fail, block } = .pass,
    value: extern union { mask: List(Mask), rewrite: Text, reason: Reason } = undefined,
};

pub const Judgement = extern struct { verdict: Verdict = .{}, data_json: Option(Text) = .{} };

pub const WindowVerdict = extern struct {
    tag: enum(u8) { pass, mask, fail, block } = .pass,
    value: extern union { mask: List(Span), reason: Reason } = undefined,
};

pub const WindowAnswer = extern struct {
    verdict: WindowVerdict = .{},
    state: List(u8) = .of(&.{}),
    data_json: Option(Text) = .{},
};

pub const WindowNeeds = extern struct { lookahead: u32, overlap: u32 };

pub const CheckError = extern struct { name: Text, message: Text, data_json: Option(Text) = .{} };

pub fn Result(T: type) type {
    return extern struct { failed: bool = false, value: extern union { ok: T, err: CheckError } };
}

pub const CheckInfo = extern struct {
    name: Text,
    hooks: List(Hook) = .of(&.{ .input, .output }),
    streams: bool,
    mutates: bool,
    params_schema_json: Text,
    extra: List(Pair) = .of(&.{}),
};

pub const ConditionInfo = extern struct { name: Text, params_schema_json: Text, extra: List(Pair) = .of(&.{}) };

pub const Manifest = extern struct {
    id: Text,
    version: Text,
    checks: List(CheckInfo) = .of(&.{}),
    conditions: List(ConditionInfo) = .of(&.{}),
    wants: List(Text) = .of(&.{}),
    extra: List(Pair) = .of(&.{}),
};
