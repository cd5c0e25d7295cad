/* What `data inspect` counts: classes, parts, sizes, kinds of files, and short cuts that a network could learn. */
#ifndef MSFL_CLI_DATA_FACTS_H
#define MSFL_CLI_DATA_FACTS_H

#include "medsecurefl/dataset.h"

enum { CLI_PARTS = 4, CLI_TRAITS = 4 };

typedef struct cli_class_facts {
    uint32_t images, patients;
    uint32_t by_part[CLI_PARTS]; /**< images by msfl_part */
} cli_class_facts;

/** Images that have something in common: a size, or a format with depth and channels. */
typedef struct cli_kind_facts {
    uint64_t key;
    uint32_t images;
} cli_kind_facts;

typedef struct cli_trait_facts {
    const char *name;
    msfl_trait is;
} cli_trait_facts;

typedef struct cli_data_facts {
    uint32_t n_classes;
    cli_class_facts *classes;
    cli_kind_facts *sizes, *formats; /**< most common first */
    uint32_t n_sizes, n_formats;
    uint32_t visits_min, visits_median, visits_max; /**< images of a patient */
    uint32_t n_on_both_sides;                       /**< patients in more than one part of the source's split */
    uint32_t n_copies;         /**< images whose pixels, at 8 bits, are those of an earlier image */
    uint32_t n_copies_astray;  /**< of these, copies of an image of another patient */
    uint32_t n_copies_at_odds; /**< of these, copies of an image of another class */
    double guessing;           /**< accuracy of always naming the most common class */
    cli_trait_facts traits[CLI_TRAITS];
} cli_data_facts;

msfl_status cli_data_facts_new(const msfl_dataset *set, cli_data_facts *out) MSFL_NODISCARD;
void cli_data_facts_clear(cli_data_facts *facts);

/** "128 x 96" or "PNG, 8 bits, grey" of a key; `text` holds 64 bytes. Returns `text`. */
char *cli_size_text(uint64_t key, char text[64]);
char *cli_format_text(uint64_t key, char text[64]);

#endif
