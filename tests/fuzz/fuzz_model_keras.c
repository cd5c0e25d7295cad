/* layer: nn */
/* The description of a network inside a model file made by others: what resolves has a canonical form of its own, which
 * reads back as the same. */
#include "base/mem.h"
#include "nn/arch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static nn_arch arch, again;
    if (nn_arch_from_keras("fuzz", (const char *)data, size, &arch) != MSFL_OK) return 0;
    if (nn_arch_resolve("fuzz", &arch) != MSFL_OK) return 0;
    char *yaml;
    if (nn_arch_yaml(&arch, &yaml) != MSFL_OK) abort();
    if (nn_arch_read("canonical", yaml, strlen(yaml), &again) != MSFL_OK) abort();
    if (nn_arch_resolve("canonical", &again) != MSFL_OK || again.n_values != arch.n_values) abort();
    msfl_free(yaml);
    return 0;
}
