/* Text for a terminal: how many columns it takes, and none of it able to steer the terminal. */
#ifndef MSFL_CLI_COLUMNS_H
#define MSFL_CLI_COLUMNS_H

#include "base/bytes.h"

#include <stdio.h>

/** Whether the user's locale writes UTF-8. */
bool cli_locale_is_utf8(void);

/** Columns that `text` takes once cleaned: wide East Asian characters two, combining marks none. */
size_t cli_columns(const char *text);

/**
 * Append `text` cut to at most `columns_max` columns (the last one then an ellipsis, or '~' without UTF-8) and return
 * the columns it took. Control characters, escape sequences, marks that turn the reading direction, and bytes that are
 * not UTF-8 become U+FFFD; without `is_utf8`, these and everything beyond ASCII become '?'. NULL writes nothing.
 */
size_t cli_put_columns(msfl_buffer *out, const char *text, size_t columns_max, bool is_utf8);

/** Write text that others chose (names of files, classes, columns, layers) to `out`, cleaned as above in one line. */
void cli_print_safely(FILE *out, const char *text);

#endif
