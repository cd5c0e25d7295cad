/* A data set's card: its figures, and a page with a contact sheet. Layer: federation. */
#ifndef MEDSECUREFL_CARD_H
#define MEDSECUREFL_CARD_H

#include "medsecurefl/dataset.h"

MSFL_BEGIN_DECLS

typedef struct msfl_card_options {
    const char *data;              /**< as msfl_dataset_open */
    msfl_dataset_options dataset;  /**< how to open it; its observer watches the card too */
    const char *name;              /**< title of the page; NULL: the recipe's name, or the end of the path of `data` */
    const char *html;              /**< the page; NULL: none */
    uint32_t n_clients;            /**< also show it dealt out to so many hospitals; 0: not */
    const char *partition, *shift; /**< as msfl_dataset_partition, msfl_shift_draw */
    uint64_t seed;
} msfl_card_options;

/**
 * Counts, classes, patients, sizes, spacings, histogram of values, warnings; for an imported set what its import found.
 * With hospitals: the same for each, as its scanner would show it. `json` receives the card (docs/formats/set.md); free
 * with msfl_text_free. The page holds images; the card does not.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_card(const msfl_card_options *options, char **json);

MSFL_END_DECLS

#endif
