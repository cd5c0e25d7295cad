/* The networks that come with the program. */
#include "nn/arch.h"

#include <string.h>

/* Group normalisation, so that a hospital's statistics neither travel nor mix, and small batches do no harm. */
static const char cnn_small[] = "name: cnn-small\n"
                                "input: {height: 64, width: 64, channels: 1}\n"
                                "classes: 2\n"
                                "layers:\n"
                                "  - conv: {filters: 16, kernel: 3, padding: same, bias: false}\n"
                                "  - max_pool\n"
                                "  - group_norm: {groups: 4, activation: relu}\n"
                                "  - conv: {filters: 32, kernel: 3, padding: same, bias: false}\n"
                                "  - max_pool\n"
                                "  - group_norm: {groups: 4, activation: relu}\n"
                                "  - conv: {filters: 32, kernel: 3, padding: same, bias: false}\n"
                                "  - max_pool\n"
                                "  - group_norm: {groups: 4, activation: relu}\n"
                                "  - conv: {filters: 32, kernel: 3, padding: same, bias: false}\n"
                                "  - group_norm: {groups: 4, activation: relu}\n"
                                "  - max_pool\n"
                                "  - flatten\n"
                                "  - dropout: {rate: 0.3}\n"
                                "  - dense: {units: classes}\n";

/* The network of the MedSecureFL publication: 222,722 values. */
static const char medsecurefl_2022[] = "name: medsecurefl-2022\n"
                                       "input: {height: 256, width: 256, channels: 3}\n"
                                       "classes: 2\n"
                                       "layers:\n"
                                       "  - conv: {filters: 32, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - conv: {filters: 32, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - conv: {filters: 32, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - conv: {filters: 64, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - conv: {filters: 64, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - conv: {filters: 128, kernel: 3, activation: relu}\n"
                                       "  - max_pool\n"
                                       "  - flatten\n"
                                       "  - dense: {units: 128, activation: relu}\n"
                                       "  - dense: {units: 64, activation: relu}\n"
                                       "  - dense: {units: classes}\n";

static const struct {
    const char *name, *yaml;
} builtins[] = {{"cnn-small", cnn_small}, {"medsecurefl-2022", medsecurefl_2022}};

const char *nn_builtin(const char *name) {
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++) {
        if (strcmp(builtins[i].name, name) == 0) return builtins[i].yaml;
    }
    return NULL;
}

const char *nn_builtin_names(void) {
    return "cnn-small, medsecurefl-2022";
}
