#include "base/error.h"
#include "cmd.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Levenshtein distance of two short words, for "did you mean". */
static size_t distance(const char *a, const char *b) {
    enum { LONGEST = 40 };
    size_t n = strlen(b), row[LONGEST + 1];
    if (n > LONGEST) return LONGEST;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != 0; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t above = row[j + 1];
            size_t best = diagonal + (a[i] != b[j]);
            if (above + 1 < best) best = above + 1;
            if (row[j] + 1 < best) best = row[j] + 1;
            row[j + 1] = best;
            diagonal = above;
        }
    }
    return row[n];
}

static msfl_status unknown(const char *word, size_t length, const cli_option *options) {
    char name[64];
    if (length >= sizeof name) length = sizeof name - 1;
    memcpy(name, word, length);
    name[length] = 0;
    const char *nearest = NULL;
    size_t best = 4;
    for (const cli_option *o = options; o->name != NULL; o++) {
        size_t d = distance(name, o->name);
        if (d < best) {
            best = d;
            nearest = o->name;
        }
    }
    if (nearest != NULL) return msfl_fail(MSFL_ERR_USAGE, "there is no option --%s; did you mean --%s?", name, nearest);
    return msfl_fail(MSFL_ERR_USAGE, "there is no option --%s; --help lists them", name);
}

static msfl_status read_value(const cli_option *o, const char *text) {
    if (o->kind == CLI_TEXT) {
        *(const char **)o->value = text;
        return MSFL_OK;
    }
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    bool whole = o->kind != CLI_F64;
    if (end == text || *end != 0 || errno == ERANGE || !isfinite(v) || (whole && v != floor(v))) {
        return msfl_fail(MSFL_ERR_USAGE, "--%s takes %s, not '%s'", o->name, whole ? "a whole number" : "a number",
                         text);
    }
    if (v < o->min || v > o->max) {
        return msfl_fail(MSFL_ERR_USAGE, "--%s takes %g to %g, not %s", o->name, o->min, o->max, text);
    }
    if (o->kind == CLI_U32) *(uint32_t *)o->value = (uint32_t)v;
    if (o->kind == CLI_U64) *(uint64_t *)o->value = (uint64_t)v;
    if (o->kind == CLI_F64) *(double *)o->value = v;
    return MSFL_OK;
}

/** The option that "-o" stands for; NULL for anything else, such as the number "-5". */
static const cli_option *by_letter(const char *word, const cli_option *options) {
    if (word[0] != '-' || word[1] == 0 || word[2] != 0) return NULL;
    for (const cli_option *o = options; o->name != NULL; o++)
        if (o->letter != NULL && o->letter[0] == word[1]) return o;
    return NULL;
}

msfl_status cli_parse(int argc, char **argv, const cli_option *options, const char **positional, size_t positional_max,
                      size_t *n_positional) {
    size_t n = 0;
    bool options_ended = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (!options_ended && strcmp(word, "--") == 0) {
            options_ended = true;
            continue;
        }
        const cli_option *letter = options_ended ? NULL : by_letter(word, options);
        if (letter == NULL && (options_ended || strncmp(word, "--", 2) != 0)) {
            if (n >= positional_max) return msfl_fail(MSFL_ERR_USAGE, "'%s' is one word too many; see --help", word);
            positional[n++] = word;
            continue;
        }
        const char *name = letter != NULL ? letter->name : word + 2;
        const char *equals = letter != NULL ? NULL : strchr(name, '=');
        size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
        const cli_option *o = options;
        while (o->name != NULL && (strlen(o->name) != length || memcmp(o->name, name, length) != 0))
            o++;
        if (o->name == NULL) return unknown(name, length, options);
        if (o->kind == CLI_FLAG) {
            if (equals != NULL) return msfl_fail(MSFL_ERR_USAGE, "--%s takes no value", o->name);
            *(bool *)o->value = true;
            continue;
        }
        const char *value = equals != NULL ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (value == NULL) return msfl_fail(MSFL_ERR_USAGE, "--%s needs a value", o->name);
        msfl_status status = read_value(o, value);
        if (status != MSFL_OK) return status;
    }
    if (n_positional != NULL) *n_positional = n;
    return MSFL_OK;
}
