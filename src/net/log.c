#include "net/log.h"

#include <time.h>

void net_json_text(msfl_buffer *out, const char *text) {
    enum { KEPT = 200 };
    msfl_put8(out, '"');
    for (size_t i = 0; text[i] != 0 && i < KEPT; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<') {
            msfl_put_text(out, "\\u%04x", c);
        } else {
            msfl_put8(out, c);
        }
    }
    msfl_put8(out, '"');
}

static void put_text(msfl_buffer *out, const char *field, const char *value) {
    if (value == NULL) return;
    msfl_put_text(out, ",\"%s\":", field);
    net_json_text(out, value);
}

static void put_number(msfl_buffer *out, const char *field, int64_t value) {
    if (value >= 0) msfl_put_text(out, ",\"%s\":%lld", field, (long long)value);
}

void net_log_write(const net_log *log, const net_event *e) {
    if (log->line == NULL) return;
    struct timespec now;
    struct tm parts;
    char when[32] = "";
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &parts) != NULL) (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &parts);
    msfl_buffer line = {0};
    msfl_put_text(&line, "{\"time\":\"%s.%03ldZ\"", when, now.tv_nsec / 1000000);
    put_text(&line, "event", e->event);
    put_text(&line, "peer", e->peer);
    put_text(&line, "address", e->address);
    put_text(&line, "method", e->method);
    put_text(&line, "path", e->path);
    put_number(&line, "status", e->status);
    put_number(&line, "in", e->bytes_in);
    put_number(&line, "out", e->bytes_out);
    put_number(&line, "ms", e->ms);
    put_text(&line, "reason", e->reason);
    msfl_put_bytes(&line, "}", 2); /* and the zero */
    if (line.status == MSFL_OK) log->line(log->ctx, (const char *)line.bytes);
    msfl_buffer_clear(&line);
}
