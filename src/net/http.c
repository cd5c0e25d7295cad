#include "net/http.h"

#include <string.h>

static bool is_segment_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '~' || c == '-';
}

/* Length of the good segment at `at`; 0 if there is none. */
static size_t segment(const char *at) {
    size_t n = 0;
    while (is_segment_byte(at[n]) && n <= NET_PARAM_MAX)
        n++;
    bool dots = (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.');
    return n > NET_PARAM_MAX || dots || (at[n] != '/' && at[n] != 0) ? 0 : n;
}

bool net_path_is_good(const char *path) {
    if (path[0] != '/' || strnlen(path, NET_PATH_MAX + 1) > NET_PATH_MAX) return false;
    if (path[1] == 0) return true;
    for (const char *at = path; *at == '/';) {
        size_t n = segment(at + 1);
        if (n == 0) return false;
        at += 1 + n;
    }
    return true; /* segment() ends at '/' or at the end */
}

bool net_path_match(const char *pattern, const char *path, net_params *params) {
    *params = (net_params){0};
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t n = strcspn(path, "/"), m = strcspn(pattern, "/");
        if (pattern[0] == '{') {
            if (n == 0 || n > NET_PARAM_MAX || params->n == NET_PARAMS_MAX) return false;
            memcpy(params->value[params->n], path, n);
            params->value[params->n++][n] = 0;
        } else if (n != m || memcmp(pattern, path, n) != 0) {
            return false;
        }
        pattern += m;
        path += n;
    }
    return *pattern == 0 && *path == 0;
}

/* Digits at `*at`, which moves behind them. */
static bool digits(const char **at, uint64_t max, uint64_t *out) {
    uint64_t v = 0;
    const char *p = *at;
    if (*p < '0' || *p > '9') return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t d = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - d) / 10) return false;
        v = 10 * v + d;
    }
    if (v > max) return false;
    *at = p;
    *out = v;
    return true;
}

bool net_number(const char *text, uint64_t max, uint64_t *out) {
    return digits(&text, max, out) && *text == 0;
}

static bool skip(const char **at, const char *word) {
    size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0) return false;
    *at += n;
    return true;
}

bool net_content_range(const char *text, net_range *out) {
    uint64_t first, last, total;
    *out = (net_range){0};
    if (!skip(&text, "bytes ") || !digits(&text, INT64_MAX, &first) || !skip(&text, "-") ||
        !digits(&text, INT64_MAX, &last) || !skip(&text, "/") || !digits(&text, INT64_MAX, &total) || *text != 0 ||
        first > last || last >= total) {
        return false;
    }
    *out = (net_range){first, last - first + 1, total};
    return true;
}

bool net_content_range_end(const char *text, uint64_t *total) {
    *total = 0;
    return skip(&text, "bytes */") && digits(&text, INT64_MAX, total) && *text == 0;
}

net_range_kind net_range_of(const char *text, uint64_t total, net_range *out) {
    *out = (net_range){0, total, total};
    uint64_t first, last;
    if (text == NULL || !skip(&text, "bytes=")) return NET_RANGE_NONE;
    if (skip(&text, "-")) { /* the last so many bytes */
        if (!digits(&text, INT64_MAX, &last) || *text != 0) return NET_RANGE_NONE;
        if (last == 0 || total == 0) return NET_RANGE_UNSATISFIABLE;
        if (last > total) last = total;
        *out = (net_range){total - last, last, total};
        return NET_RANGE_PART;
    }
    if (!digits(&text, INT64_MAX, &first) || !skip(&text, "-")) return NET_RANGE_NONE;
    if (*text == 0) {
        last = INT64_MAX;
    } else if (!digits(&text, INT64_MAX, &last) || *text != 0 || last < first) {
        return NET_RANGE_NONE;
    }
    if (first >= total) return NET_RANGE_UNSATISFIABLE;
    if (last >= total) last = total - 1;
    *out = (net_range){first, last - first + 1, total};
    return NET_RANGE_PART;
}

bool net_value_is_good(const char *value) {
    size_t n = strnlen(value, NET_VALUE_MAX + 1);
    for (size_t i = 0; i < n; i++)
        if (value[i] < 0x20 || value[i] > 0x7e) return false;
    return n <= NET_VALUE_MAX;
}

uint32_t net_http_status(msfl_status status) {
    switch (status) {
    case MSFL_OK:
        return 200;
    case MSFL_ERR_USAGE:
    case MSFL_ERR_FORMAT:
    case MSFL_ERR_NUMERIC:
    case MSFL_ERR_PARAMS:
    case MSFL_ERR_DATA:
        return 400;
    case MSFL_ERR_POLICY:
        return 403;
    case MSFL_ERR_MISSING:
        return 404;
    case MSFL_ERR_MISMATCH:
    case MSFL_ERR_EXISTS:
        return 409;
    case MSFL_ERR_LIMIT:
        return 413;
    case MSFL_ERR_CRYPTO:
        return 422;
    case MSFL_ERR_UNSUPPORTED:
        return 501;
    case MSFL_ERR_MEMORY:
    case MSFL_ERR_CANCELLED:
        return 503;
    default:
        return 500;
    }
}
