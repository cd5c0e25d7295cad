#include "text/yaml.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <libfyaml.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct builder {
    const char *name;
    struct fy_parser *parser;
    struct fy_diag *diag;
    uint32_t n_nodes, nodes_max;
} builder;

/* --- building the tree --- */

static msfl_status parser_failed(const builder *b) {
    void *at = NULL;
    struct fy_diag_error *error = fy_diag_errors_iterate(b->diag, &at);
    if (error == NULL || error->msg == NULL) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: not a complete YAML document", b->name);
    }
    return msfl_fail(MSFL_ERR_FORMAT, "%s: line %d, column %d: %s", b->name, error->line, error->column, error->msg);
}

static struct fy_event *next_event(const builder *b) {
    return fy_parser_parse(b->parser);
}

static msfl_status copy_text(const builder *b, struct fy_event *event, const msfl_yaml *node, char **out) {
    size_t length = 0;
    const char *text = fy_token_get_text(event->scalar.value, &length);
    if (text == NULL) {
        text = "";
        length = 0;
    }
    if (memchr(text, 0, length) != NULL) return msfl_yaml_fail(b->name, node, "a zero byte inside text");
    *out = msfl_strndup(text, length);
    return *out == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

static msfl_status read_node(builder *b, struct fy_event *event, uint32_t depth, msfl_yaml **out);

static msfl_status read_key(builder *b, struct fy_event *event, const msfl_yaml *map, char **key) {
    msfl_yaml at = {.line = map->line, .column = map->column};
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (mark != NULL) at.line = (uint32_t)mark->line + 1, at.column = (uint32_t)mark->column + 1;
    if (event->type != FYET_SCALAR || event->scalar.anchor != NULL || event->scalar.tag != NULL) {
        return msfl_yaml_fail(b->name, &at, "a key must be plain text");
    }
    msfl_status status = copy_text(b, event, &at, key);
    if (status == MSFL_OK && msfl_yaml_get(map, *key) != NULL) {
        status = msfl_yaml_fail(b->name, &at, "key '%.64s' stands here twice", *key);
        msfl_free(*key);
        *key = NULL;
    }
    return status;
}

static msfl_status read_children(builder *b, msfl_yaml *node, uint32_t depth) {
    enum fy_event_type end = node->kind == MSFL_YAML_MAPPING ? FYET_MAPPING_END : FYET_SEQUENCE_END;
    msfl_yaml **tail = &node->first;
    for (;;) {
        struct fy_event *event = next_event(b);
        if (event == NULL) return parser_failed(b);
        if (event->type == end) {
            fy_parser_event_free(b->parser, event);
            return MSFL_OK;
        }
        char *key = NULL;
        msfl_status status = MSFL_OK;
        if (node->kind == MSFL_YAML_MAPPING) {
            status = read_key(b, event, node, &key);
            fy_parser_event_free(b->parser, event);
            if (status != MSFL_OK) return status;
            event = next_event(b);
            if (event == NULL) {
                msfl_free(key);
                return parser_failed(b);
            }
        }
        status = read_node(b, event, depth + 1, tail);
        fy_parser_event_free(b->parser, event);
        if (*tail != NULL) {
            (*tail)->key = key;
            tail = &(*tail)->next;
            node->n++;
        } else {
            msfl_free(key);
        }
        if (status != MSFL_OK) return status;
    }
}

/* On failure `*out` is NULL or a tree that the caller links in and frees with the rest. */
static msfl_status read_node(builder *b, struct fy_event *event, uint32_t depth, msfl_yaml **out) {
    *out = NULL;
    if (depth > MSFL_YAML_DEPTH_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: nested more than %d deep", b->name, MSFL_YAML_DEPTH_MAX);
    }
    if (++b->n_nodes > b->nodes_max) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: more than %u values", b->name, b->nodes_max);
    }
    msfl_yaml *node = msfl_alloc(1, sizeof *node);
    if (node == NULL) return MSFL_ERR_MEMORY;
    *out = node;
    const struct fy_mark *mark = fy_event_start_mark(event);
    node->line = mark == NULL ? 1 : (uint32_t)mark->line + 1;
    node->column = mark == NULL ? 1 : (uint32_t)mark->column + 1;
    if (event->type == FYET_ALIAS) return msfl_yaml_fail(b->name, node, "aliases are not accepted");
    struct fy_token *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case FYET_SCALAR:
        node->kind = MSFL_YAML_SCALAR;
        anchor = event->scalar.anchor;
        tag = event->scalar.tag;
        break;
    case FYET_SEQUENCE_START:
        node->kind = MSFL_YAML_SEQUENCE;
        anchor = event->sequence_start.anchor;
        tag = event->sequence_start.tag;
        break;
    case FYET_MAPPING_START:
        node->kind = MSFL_YAML_MAPPING;
        anchor = event->mapping_start.anchor;
        tag = event->mapping_start.tag;
        break;
    default:
        return msfl_yaml_fail(b->name, node, "a value was expected here");
    }
    if (anchor != NULL || tag != NULL) return msfl_yaml_fail(b->name, node, "anchors and tags are not accepted");
    if (node->kind != MSFL_YAML_SCALAR) return read_children(b, node, depth);
    node->quoted = fy_token_scalar_style(event->scalar.value) != FYSS_PLAIN;
    return copy_text(b, event, node, &node->text);
}

static msfl_status read_document(builder *b, msfl_yaml **root) {
    bool in_document = false;
    for (;;) {
        struct fy_event *event = next_event(b);
        /* The end of the stream may come as an event or as nothing. */
        if (event == NULL || event->type == FYET_STREAM_END) {
            bool clean = event != NULL;
            fy_parser_event_free(b->parser, event);
            if (!clean && fy_diag_got_error(b->diag)) return parser_failed(b);
            return *root == NULL ? msfl_fail(MSFL_ERR_FORMAT, "%s: holds no YAML document", b->name) : MSFL_OK;
        }
        msfl_status status = MSFL_OK;
        if (event->type == FYET_DOCUMENT_START) {
            if (in_document) status = msfl_fail(MSFL_ERR_FORMAT, "%s: more than one YAML document", b->name);
            in_document = true;
        } else if (event->type != FYET_STREAM_START && event->type != FYET_DOCUMENT_END) {
            status = *root == NULL ? read_node(b, event, 1, root) : parser_failed(b);
        }
        fy_parser_event_free(b->parser, event);
        if (status != MSFL_OK) return status;
    }
}

static void discard(struct fy_diag *diag, void *user, const char *text, size_t length) {
    (void)diag, (void)user, (void)text, (void)length;
}

/* Length of the UTF-8 sequence at `p`, or 0 where there is none (overlong and surrogates included). */
static size_t utf8_length(const unsigned char *p, size_t left) {
    size_t n = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
    if (n == 0 || n > left) return 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

/* libfyaml does not come back from some broken input (found by fuzzing: directives, text that is not UTF-8). None of it
 * is of any use here, so it does not get that far. */
static msfl_status check_characters(const char *name, const char *text, size_t length) {
    const unsigned char *p = (const unsigned char *)text;
    uint32_t line = 1;
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(p + i, length - i);
        bool control = (p[i] < 32 && p[i] != '\n' && p[i] != '\r' && p[i] != '\t') || p[i] == 127;
        if (n == 0 || control) {
            return msfl_fail(MSFL_ERR_FORMAT, "%s: line %u: %s", name, line,
                             n == 0 ? "not UTF-8 text" : "a control character");
        }
        if (p[i] == '%' && (i == 0 || p[i - 1] == '\n' || p[i - 1] == '\r')) {
            return msfl_fail(MSFL_ERR_FORMAT, "%s: line %u: directives are not accepted", name, line);
        }
        line += p[i] == '\n';
        i += n;
    }
    return MSFL_OK;
}

msfl_status msfl_yaml_parse(const char *name, const char *text, size_t length, msfl_yaml **out) {
    return msfl_yaml_parse_within(name, text, length, MSFL_YAML_BYTES_MAX, MSFL_YAML_NODES_MAX, out);
}

msfl_status msfl_yaml_parse_within(const char *name, const char *text, size_t length, size_t bytes_max,
                                   uint32_t nodes_max, msfl_yaml **out) {
    *out = NULL;
    if (length > bytes_max) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: %zu bytes of YAML; at most %zu are accepted", name, length, bytes_max);
    }
    if (length == 0) { /* libfyaml takes none for a failure of its own */
        text = "\n";
        length = 1;
    }
    msfl_status status = check_characters(name, text, length);
    if (status != MSFL_OK) return status;
    builder b = {.name = name, .nodes_max = nodes_max};
    msfl_yaml *root = NULL;
    status = MSFL_ERR_MEMORY;
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = discard;
    b.diag = fy_diag_create(&diag_cfg);
    if (b.diag == NULL) goto done;
    fy_diag_set_collect_errors(b.diag, true);
    struct fy_parse_cfg cfg = {.search_path = "", .flags = FYPCF_QUIET | FYPCF_JSON_NONE, .diag = b.diag};
    b.parser = fy_parser_create(&cfg);
    if (b.parser == NULL || fy_parser_set_string(b.parser, text, length) != 0) goto done;
    status = read_document(&b, &root);
done:
    if (b.parser != NULL) fy_parser_destroy(b.parser);
    if (b.diag != NULL) fy_diag_destroy(b.diag);
    if (status == MSFL_ERR_MEMORY) status = msfl_fail(status, "%s: out of memory while reading YAML", name);
    if (status != MSFL_OK) {
        msfl_yaml_free(root);
        return status;
    }
    *out = root;
    return MSFL_OK;
}

void msfl_yaml_free(msfl_yaml *node) {
    while (node != NULL) {
        msfl_yaml *next = node->next;
        msfl_yaml_free(node->first);
        msfl_free(node->key);
        msfl_free(node->text);
        msfl_free(node);
        node = next;
    }
}

/* --- reading from it --- */

msfl_status msfl_yaml_fail(const char *name, const msfl_yaml *at, const char *fmt, ...) {
    char what[800];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return msfl_fail(MSFL_ERR_FORMAT, "%s: line %u, column %u: %s", name, at->line, at->column, what);
}

const msfl_yaml *msfl_yaml_get(const msfl_yaml *map, const char *key) {
    if (map == NULL || map->kind != MSFL_YAML_MAPPING) return NULL;
    for (const msfl_yaml *child = map->first; child != NULL; child = child->next) {
        if (strcmp(child->key, key) == 0) return child;
    }
    return NULL;
}

/* "a, b, c" for a list that ends with NULL. */
static void join(const char *const *words, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (; *words != NULL && used < size; words++) {
        int n = snprintf(text + used, size - used, "%s%s", used == 0 ? "" : ", ", *words);
        used += n < 0 ? 0 : (size_t)n;
    }
}

msfl_status msfl_yaml_only(const char *name, const msfl_yaml *map, const char *const *keys) {
    char list[400];
    join(keys, list, sizeof list);
    if (map->kind != MSFL_YAML_MAPPING) {
        return msfl_yaml_fail(name, map, "keys and values are wanted here; the keys are %s", list);
    }
    for (const msfl_yaml *child = map->first; child != NULL; child = child->next) {
        const char *const *k = keys;
        while (*k != NULL && strcmp(*k, child->key) != 0)
            k++;
        if (*k == NULL) return msfl_yaml_fail(name, child, "unknown key '%.64s'; the keys are %s", child->key, list);
    }
    return MSFL_OK;
}

static bool read_number(const msfl_yaml *node, double *out) {
    if (node->kind != MSFL_YAML_SCALAR || node->quoted || node->text[0] == 0) return false;
    if (strspn(node->text, "0123456789+-.eE") != strlen(node->text)) return false;
    char *end;
    errno = 0;
    *out = strtod(node->text, &end);
    return *end == 0 && end != node->text && errno == 0 && isfinite(*out);
}

msfl_status msfl_yaml_f64(const char *name, const msfl_yaml *node, const char *what, double min, double max,
                          double *out) {
    double v;
    if (!read_number(node, &v) || v < min || v > max) {
        return msfl_yaml_fail(name, node, "%s must be a number from %g to %g", what, min, max);
    }
    *out = v;
    return MSFL_OK;
}

msfl_status msfl_yaml_u32(const char *name, const msfl_yaml *node, const char *what, uint32_t min, uint32_t max,
                          uint32_t *out) {
    double v;
    if (!read_number(node, &v) || v != floor(v) || v < min || v > max) {
        return msfl_yaml_fail(name, node, "%s must be a whole number from %u to %u", what, min, max);
    }
    *out = (uint32_t)v;
    return MSFL_OK;
}

msfl_status msfl_yaml_choice(const char *name, const msfl_yaml *node, const char *what, const char *const *choices,
                             uint32_t *out) {
    for (uint32_t i = 0; node->kind == MSFL_YAML_SCALAR && choices[i] != NULL; i++) {
        if (strcmp(node->text, choices[i]) == 0) {
            *out = i;
            return MSFL_OK;
        }
    }
    char list[400];
    join(choices, list, sizeof list);
    return msfl_yaml_fail(name, node, "%s must be one of %s", what, list);
}

msfl_status msfl_yaml_bool(const char *name, const msfl_yaml *node, const char *what, bool *out) {
    static const char *const words[] = {"false", "true", NULL};
    uint32_t which = 0;
    msfl_status status = msfl_yaml_choice(name, node, what, words, &which);
    if (status == MSFL_OK) *out = which == 1;
    return status;
}
