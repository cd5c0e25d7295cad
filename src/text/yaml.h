/* Shim for libfyaml: YAML text as a small tree with line numbers, bounded on the way in. */
#ifndef MSFL_TEXT_YAML_H
#define MSFL_TEXT_YAML_H

#include "medsecurefl/status.h"

/** What a document may hold; more is ERR_LIMIT. A description of anything we have fits many times over. */
enum { MSFL_YAML_BYTES_MAX = 1 << 18, MSFL_YAML_DEPTH_MAX = 16, MSFL_YAML_NODES_MAX = 20000 };

typedef enum msfl_yaml_kind { MSFL_YAML_SCALAR, MSFL_YAML_SEQUENCE, MSFL_YAML_MAPPING } msfl_yaml_kind;

/** A node. Children of a sequence or mapping hang on `first`, in document order; in a mapping each has its `key`. */
typedef struct msfl_yaml {
    msfl_yaml_kind kind;
    bool quoted;           /**< scalar: written in quotes, so that "3" is text and not a number */
    uint32_t line, column; /**< of the value, from 1 */
    char *key;             /**< in a mapping; else NULL */
    char *text;            /**< scalar: its characters, without a zero among them */
    struct msfl_yaml *first, *next;
    uint32_t n; /**< number of children */
} msfl_yaml;

/**
 * Parse one document. Anchors, aliases and tags are refused (nothing of ours needs them, and they let a small file
 * stand for a huge one), as are duplicate and non-scalar keys. Errors begin with "name: line L, column C: ".
 */
msfl_status msfl_yaml_parse(const char *name, const char *text, size_t length, msfl_yaml **out) MSFL_NODISCARD;
/** The same with other bounds than MSFL_YAML_BYTES_MAX and MSFL_YAML_NODES_MAX, for a kind of document whose largest is
 *  larger than any description (a roster, whose signature is checked before it is parsed). */
msfl_status msfl_yaml_parse_within(const char *name, const char *text, size_t length, size_t bytes_max,
                                   uint32_t nodes_max, msfl_yaml **out) MSFL_NODISCARD;
void msfl_yaml_free(msfl_yaml *root);

/** ERR_FORMAT with the place of `at` in front: "name: line L, column C: ...". */
msfl_status msfl_yaml_fail(const char *name, const msfl_yaml *at, const char *fmt, ...) MSFL_PRINTF(3, 4);

/** The value of `key` in a mapping; NULL if it is not there (or `map` is not a mapping). */
const msfl_yaml *msfl_yaml_get(const msfl_yaml *map, const char *key);

/** ERR_FORMAT unless `map` is a mapping whose keys are all in `keys` (a list that ends with NULL); names the key that
 * is not, and those that could be meant. */
msfl_status msfl_yaml_only(const char *name, const msfl_yaml *map, const char *const *keys) MSFL_NODISCARD;

/* Scalars. `what` names the value in an error ("filters"). Numbers are plain decimal: no hex, octal, inf or nan. */
msfl_status msfl_yaml_u32(const char *name, const msfl_yaml *node, const char *what, uint32_t min, uint32_t max,
                          uint32_t *out) MSFL_NODISCARD;
msfl_status msfl_yaml_f64(const char *name, const msfl_yaml *node, const char *what, double min, double max,
                          double *out) MSFL_NODISCARD;
msfl_status msfl_yaml_bool(const char *name, const msfl_yaml *node, const char *what, bool *out) MSFL_NODISCARD;
/** Index of the text among `choices` (ends with NULL). */
msfl_status msfl_yaml_choice(const char *name, const msfl_yaml *node, const char *what, const char *const *choices,
                             uint32_t *out) MSFL_NODISCARD;

#endif
