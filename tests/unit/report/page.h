/* What tests ask of a page. */
#ifndef TEST_REPORT_PAGE_H
#define TEST_REPORT_PAGE_H

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/** The page that was rendered into `out`, as text: all of it is, whatever went in. Free with msfl_free. */
static inline char *page_text(msfl_status status, msfl_buffer *out) {
    if (status != MSFL_OK) fail_msg("%s", msfl_error_message());
    msfl_put8(out, 0);
    assert_int_equal(strlen((const char *)out->bytes), out->length - 1);
    return (char *)out->bytes;
}

static inline void assert_has(const char *page, const char *text) {
    if (strstr(page, text) == NULL) fail_msg("the page lacks: %s", text);
}

static inline void assert_lacks(const char *page, const char *text) {
    const char *at = strstr(page, text);
    if (at != NULL) fail_msg("the page has: %.80s", at);
}

static inline size_t count(const char *page, const char *text) {
    size_t n = 0;
    for (const char *at = page; (at = strstr(at, text)) != NULL; at += strlen(text))
        n++;
    return n;
}

#endif
