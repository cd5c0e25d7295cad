/* The small grammars of HTTP that we read ourselves, strictly: paths, ranges, numbers. Text from outside, all of it. */
#ifndef MSFL_NET_HTTP_H
#define MSFL_NET_HTTP_H

#include "medsecurefl/status.h"

enum { NET_PATH_MAX = 512, NET_PARAMS_MAX = 4, NET_PARAM_MAX = 64, NET_NAME_MAX = 64, NET_VALUE_MAX = 1024 };

/** Segments that stood where a pattern has {name}, in order. */
typedef struct net_params {
    char value[NET_PARAMS_MAX][NET_PARAM_MAX + 1];
    uint32_t n;
} net_params;

/**
 * Whether a path is one that we serve anything under: "/" alone, or "/" segment { "/" segment }, segments of 1 to 64
 * letters, digits, '.', '_', '~', '-', none of them "." or "..", at most 512 bytes in all. Nothing is decoded: a '%' is
 * refused, so there are no two spellings of one path.
 */
bool net_path_is_good(const char *path);

/** Whether a good path matches a pattern such as "/v1/rounds/{number}/upload"; `params` is filled if so. */
bool net_path_match(const char *pattern, const char *path, net_params *params);

/** A decimal number without sign or blanks, at most `max`. The whole text. */
bool net_number(const char *text, uint64_t max, uint64_t *out);

/** Bytes [first, first + length) of `total`. */
typedef struct net_range {
    uint64_t first, length, total;
} net_range;

/** "bytes a-b/total" with a <= b < total: a Content-Range (RFC 9110 section 14.4). */
bool net_content_range(const char *text, net_range *out);

/** "bytes" and an asterisk in the place of the range: no byte more, all `total` are there (our own use in a request).
 */
bool net_content_range_end(const char *text, uint64_t *total);

/** A Range header (RFC 9110 section 14.2) against a body of `total` bytes. */
typedef enum net_range_kind {
    NET_RANGE_NONE,         /**< absent, or a form we do not serve: the whole body */
    NET_RANGE_PART,         /**< `out` */
    NET_RANGE_UNSATISFIABLE /**< begins behind the end */
} net_range_kind;
/** One range "bytes=a-", "bytes=a-b" or "bytes=-n". Several ranges count as none. `text` may be NULL. */
net_range_kind net_range_of(const char *text, uint64_t total, net_range *out);

/** Whether a value can stand in a header line: printable ASCII, at most NET_VALUE_MAX. */
bool net_value_is_good(const char *value);

/** The HTTP status for a handler's failure. */
uint32_t net_http_status(msfl_status status);

#endif
