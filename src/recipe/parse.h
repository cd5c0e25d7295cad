/* From YAML to a recipe: what the head (parse.c) and the steps (parse_steps.c) share. */
#ifndef MSFL_RECIPE_PARSE_H
#define MSFL_RECIPE_PARSE_H

#include "recipe/recipe.h"
#include "text/yaml.h"

/** What is known of the image at this point of the recipe. */
typedef struct recipe_parser {
    const char *name;
    msfl_recipe *r;
    bool is_flat;   /**< single pictures: from the start, or after slices */
    bool is_turned; /**< to RAS: slices may be called axial */
    bool is_sized;  /**< width and height are known */
    uint32_t size[3];
    double low, high; /**< range of values; NaN: unknown */
} recipe_parser;

/** ERR_FORMAT: `step`, at `at`, lacks a key that it needs. */
msfl_status recipe_no_key(const recipe_parser *p, const msfl_yaml *at, const char *step,
                          const char *key) MSFL_NODISCARD;

/** `what` as a list of `n` numbers from `min` to `max`; `of` says in a message which they are: "columns, rows". On
 *  error `out` may be filled in part. */
msfl_status recipe_read_list(const recipe_parser *p, const msfl_yaml *node, const char *what, const char *of,
                             uint32_t n, double min, double max, double *out) MSFL_NODISCARD;

/** One item of `steps`, appended to the recipe; what it makes of the image is taken into `p`. The caller has bounded
 *  their number. */
msfl_status recipe_read_step(recipe_parser *p, const msfl_yaml *item) MSFL_NODISCARD;

#endif
