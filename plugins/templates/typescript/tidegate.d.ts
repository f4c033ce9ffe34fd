declare module 'tidegate:plugin/types@0.1.0' {
  /**
   * A call of a tool that a model made.
   */
  export interface ToolCall {
    id: string,
    name: string,
    /**
     * As the model wrote it; may be cut or no JSON at all.
     */
    argumentsJson: string,
  }
  /**
   * A message of the conversation. What the operator did not grant is absent, never blank.
   */
  export interface Message {
    /**
     * system, developer, user, assistant or tool.
     */
    role: string,
    text?: string,
    toolCalls: Array<ToolCall>,
    /**
     * The call that a tool message answers.
     */
    toolCallId?: string,
    /**
     * Pictures, sound and files, as OpenAI's content parts.
     */
    partsJson?: string,
    extra: Array<[string, string]>,
  }
  /**
   * A request, as far as the plugin may see it.
   */
  export interface CallView {
    /**
     * Like /v1/chat/completions.
     */
    endpoint: string,
    /**
     * The vendor's model name, without provider.
     */
    model: string,
    /**
     * The provider's slug, without @.
     */
    provider?: string,
    /**
     * Empty unless `messages` was granted.
     */
    messages: Array<Message>,
    /**
     * The other members of the body. Absent unless `params` was granted.
     */
    paramsJson?: string,
    /**
     * Empty unless `metadata` was granted.
     */
    metadata: Array<[string, string]>,
    /**
     * Absent unless `user` was granted.
     */
    user?: string,
    stream: boolean,
    /**
     * Granted headers as `header:NAME`, and what later versions add.
     */
    extra: Array<[string, string]>,
  }
  /**
   * Which way the text under judgement goes.
   * # Variants
   * 
   * ## `"input"`
   * 
   * To the vendor.
   * ## `"output"`
   * 
   * To the client.
   */
  export type Hook = 'input' | 'output';
  /**
   * One text under judgement.
   */
  export interface Piece {
    /**
     * text, reasoning, refusal, tool-arguments or tool-result.
     */
    kind: string,
    /**
     * Who says it: system, developer, user, assistant or tool.
     */
    role: string,
    /**
     * Index of the message (input) or choice (output).
     */
    index: number,
    /**
     * The text. In tool arguments the escapes inside of JSON strings are resolved.
     */
    text: string,
  }
  /**
   * What a check judges.
   */
  export interface Subject {
    hook: Hook,
    call: CallView,
    /**
     * In the order of the request or answer.
     */
    pieces: Array<Piece>,
    /**
     * The whole request or answer as JSON, in the client's dialect. Absent unless `body` was granted.
     */
    bodyJson?: string,
    extra: Array<[string, string]>,
  }
  /**
   * Bytes start to end (not included) of a text become the replacement. Both ends are UTF-8 boundaries.
   */
  export interface Span {
    start: number,
    end: number,
    replacement: string,
  }
  /**
   * The spans of one piece, in ascending order, none overlapping.
   */
  export interface Mask {
    /**
     * Index into the pieces of the subject.
     */
    piece: number,
    spans: Array<Span>,
  }
  /**
   * Why a check did not pass.
   */
  export interface Reason {
    /**
     * For programs, like email_found.
     */
    code: string,
    /**
     * A sentence for the end user.
     */
    message: string,
  }
  /**
   * What a check says of a whole input or output.
   */
  export type Verdict = VerdictPass | VerdictMask | VerdictRewrite | VerdictFail | VerdictBlock;
  export interface VerdictPass {
    tag: 'pass',
  }
  /**
   * Passes once the spans are replaced.
   */
  export interface VerdictMask {
    tag: 'mask',
    val: Array<Mask>,
  }
  /**
   * Passes as this body: JSON in the client's dialect. Whole requests and whole answers only.
   */
  export interface VerdictRewrite {
    tag: 'rewrite',
    val: string,
  }
  /**
   * Failed. Whether it goes on is the attachment's business (`deny`).
   */
  export interface VerdictFail {
    tag: 'fail',
    val: Reason,
  }
  /**
   * Must not go on, whatever the attachment says.
   */
  export interface VerdictBlock {
    tag: 'block',
    val: Reason,
  }
  /**
   * A verdict with what else the check found.
   */
  export interface Judgement {
    verdict: Verdict,
    /**
     * A JSON object for results and logs.
     */
    dataJson?: string,
  }
  /**
   * What a check says of a window of a stream; spans are in bytes of the window's text.
   */
  export type WindowVerdict = WindowVerdictPass | WindowVerdictMask | WindowVerdictFail | WindowVerdictBlock;
  export interface WindowVerdictPass {
    tag: 'pass',
  }
  export interface WindowVerdictMask {
    tag: 'mask',
    val: Array<Span>,
  }
  export interface WindowVerdictFail {
    tag: 'fail',
    val: Reason,
  }
  export interface WindowVerdictBlock {
    tag: 'block',
    val: Reason,
  }
  /**
   * Why a check could not judge. It is an error of the check, not of what it judged: the attachment's failure
   * policy decides.
   */
  export interface CheckError {
    /**
     * A class, like SyntaxError.
     */
    name: string,
    message: string,
    /**
     * A JSON object for results and logs.
     */
    dataJson?: string,
  }
  /**
   * What a check of streams needs around a position to judge it, in bytes.
   */
  export interface WindowNeeds {
    /**
     * Bytes after it. The host holds so many back.
     */
    lookahead: number,
    /**
     * Bytes before it. The host repeats so many at the start of the next window.
     */
    overlap: number,
  }
  /**
   * One check. Its id in configs is plugin.check.
   */
  export interface CheckInfo {
    name: string,
    hooks: Array<Hook>,
    /**
     * Knows windows. Otherwise a stream that it may block or change is held until its end and judged whole.
     */
    streams: boolean,
    /**
     * May answer mask or rewrite. Such answers of other checks are errors.
     */
    mutates: boolean,
    /**
     * JSON Schema of the parameters.
     */
    paramsSchemaJson: string,
    extra: Array<[string, string]>,
  }
  /**
   * One routing condition. Its id in configs is plugin.condition.
   */
  export interface ConditionInfo {
    name: string,
    /**
     * JSON Schema of the parameters.
     */
    paramsSchemaJson: string,
    extra: Array<[string, string]>,
  }
  /**
   * What a plugin says of itself.
   */
  export interface Manifest {
    /**
     * Lower-case letters, digits and dashes.
     */
    id: string,
    /**
     * Semantic version of the plugin, not of this package.
     */
    version: string,
    checks: Array<CheckInfo>,
    conditions: Array<ConditionInfo>,
    /**
     * What it asks for: messages, params, metadata, user, body, header:NAME, http, kv, models. The operator
     * grants it, or not.
     */
    wants: Array<string>,
    extra: Array<[string, string]>,
  }
}
declare module 'tidegate:plugin/host@0.1.0' {
  /**
   * Writes a log line under the plugin's id.
   */
  export function log(level: Level, message: string): void;
  /**
   * Returns what the operator set for this plugin under a name.
   */
  export function config(name: string): string | undefined;
  /**
   * Adds to a counter of the plugin.
   */
  export function count(counter: string, by: bigint): void;
  /**
   * Returns milliseconds since 1970-01-01T00:00:00Z.
   */
  export function nowMs(): bigint;
  /**
   * Returns unpredictable bytes, 1024 at most.
   */
  export function random(length: number): Uint8Array;
  /**
   * # Variants
   * 
   * ## `"debug"`
   * 
   * ## `"info"`
   * 
   * ## `"warn"`
   * 
   * ## `"error"`
   */
  export type Level = 'debug' | 'info' | 'warn' | 'error';
}
declare module 'tidegate:plugin/about@0.1.0' {
  export function describe(): Manifest;
  export type Manifest = import('tidegate:plugin/types@0.1.0').Manifest;
}
declare module 'tidegate:plugin/guardrail@0.1.0' {
  export function check(check: string, paramsJson: string, subject: Subject): Judgement;
  export type Subject = import('tidegate:plugin/types@0.1.0').Subject;
  export type Judgement = import('tidegate:plugin/types@0.1.0').Judgement;
  export type CheckError = import('tidegate:plugin/types@0.1.0').CheckError;
}
declare module 'tidegate:plugin/guardrail-stream@0.1.0' {
  /**
   * Returns how much must be seen around a position. Asked once per attachment.
   */
  export function needs(check: string, paramsJson: string): WindowNeeds;
  /**
   * Judges a window. Unless it is the last one, the `lookahead` bytes at its end stay held back and come again in
   * the next window; all before them leaves.
   */
  export function window(check: string, paramsJson: string, window: StreamWindow): WindowAnswer;
  export type WindowNeeds = import('tidegate:plugin/types@0.1.0').WindowNeeds;
  export type WindowVerdict = import('tidegate:plugin/types@0.1.0').WindowVerdict;
  export type CheckError = import('tidegate:plugin/types@0.1.0').CheckError;
  /**
   * A window of one text of a stream.
   */
  export interface StreamWindow {
    /**
     * Bytes that were released before, for context; then bytes that were not.
     */
    text: string,
    /**
     * So many bytes at the start were released before. Spans there have no effect.
     */
    overlap: number,
    /**
     * Nothing follows.
     */
    last: boolean,
    /**
     * text, reasoning, refusal or tool-arguments, as in a piece.
     */
    kind: string,
    /**
     * The choice.
     */
    index: number,
    /**
     * What the window before it of this text returned; empty at first. Instances do not outlive a call.
     */
    state: Uint8Array,
  }
  export interface WindowAnswer {
    verdict: WindowVerdict,
    state: Uint8Array,
    /**
     * A JSON object for results and logs; the last one of a text counts.
     */
    dataJson?: string,
  }
}
