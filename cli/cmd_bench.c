/* medsecurefl bench: measure encryption on this machine. */
#include "base/error.h"
#include "bench.h"
#include "cmd.h"

#include <string.h>

msfl_status cmd_bench(int argc, char **argv) {
    static const struct {
        const char *name;
        msfl_status (*run)(int argc, char **argv);
    } parts[] = {{"he", bench_he},
                 {"compare", bench_compare},
                 {"layers", bench_layers},
                 {"round", bench_round},
                 {"train", bench_train}};
    for (size_t i = 0; argc > 0 && i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(argv[0], parts[i].name) == 0) return parts[i].run(argc - 1, argv + 1);
    }
    return msfl_fail(MSFL_ERR_USAGE,
                     "'bench' has the parts he, compare, layers, round and train; see medsecurefl bench --help");
}
