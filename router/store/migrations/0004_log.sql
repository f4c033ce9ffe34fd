-- Ids sort by time: the oldest rows are found without an index of their times, and most traces are a request's own id.
DROP INDEX request_log_started;
DROP INDEX request_log_trace;
CREATE INDEX request_log_trace ON request_log (trace_id) WHERE trace_id <> id;
