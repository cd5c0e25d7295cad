/* Data that a recipe makes first: simulate and evaluate name what it is made of alike. */
#ifndef MSFL_FEDERATION_IMPORTED_H
#define MSFL_FEDERATION_IMPORTED_H

#include "medsecurefl/import.h"

/** msfl_import_options by the members that msfl_simulate_options and msfl_evaluate_options have in common. */
#define FED_IMPORT_OPTIONS(o, folder, told)                                                                            \
    {                                                                                                                  \
        .data = (o)->data, .recipe = (o)->recipe, .out = (folder), .labels = (o)->labels, .label = (o)->label,         \
        .patient = (o)->patient, .masks = (o)->masks, .key = (o)->data_key, .refuse_bad = (o)->refuse_bad,             \
        .seed = (o)->seed, .n_threads = (o)->n_threads, .observer = (told)                                             \
    }

#endif
