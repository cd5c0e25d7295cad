/* Writing HTML: what comes from outside is escaped and cut, numbers look the same everywhere.
 *
 * Markup of our own is written with msfl_put_text; a string from outside goes through msfl_html_text alone. */
#ifndef MSFL_REPORT_HTML_H
#define MSFL_REPORT_HTML_H

#include "base/bytes.h"

/** `text` escaped for content and quoted attributes, at most `n_max` characters (then an ellipsis). Control characters,
 *  marks that turn the reading direction, and bytes that are not UTF-8 become U+FFFD. NULL writes nothing. */
void msfl_html_text_max(msfl_buffer *out, const char *text, size_t n_max);
/** The same with the usual bound of 160 characters. */
void msfl_html_text(msfl_buffer *out, const char *text);

/** A paragraph that says what is not there: "Not in this result: ...". `what` is ours. */
void msfl_html_missing(msfl_buffer *out, const char *what);

/** A short formatted number as HTML; use its `.text` within the same expression. */
typedef struct msfl_short {
    char text[48];
} msfl_short;

/** "0.973"; an en dash for NaN. */
msfl_short msfl_fixed(double v, int decimals);
/** "12 345" with narrow no-break spaces. */
msfl_short msfl_whole(double v);
/** "1.24 MB", in powers of 1000. */
msfl_short msfl_bytes_text(double v);
/** "0.42 ms", "12.3 s", "3 min 20 s" from milliseconds. */
msfl_short msfl_ms_text(double ms);
/** "12.3 %" from a share. */
msfl_short msfl_percent(double share, int decimals);
/** Three significant digits; very small or large ones as 1.23 times a power of ten. */
msfl_short msfl_significant(double v);

/** As msfl_html_text_max, for paths and commands, in which a line may break after a slash, dot or dash. */
void msfl_html_long_word(msfl_buffer *out, const char *text, size_t n_max);

#endif
