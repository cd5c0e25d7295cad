#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "bench.h"
#include "cmd.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void bench_watch_begin(bench_watch *w, bool quiet) {
    w->terminal = cli_terminal_new(NULL, 0, quiet);
    w->observer = (msfl_observer){cli_terminal_observe, w->terminal, cli_cancel_flag()};
}

void bench_watch_end(bench_watch *w) {
    cli_terminal_free(w->terminal);
    w->terminal = NULL;
}

/* Three significant digits without an exponent, for 0 <= v < 1000. */
static int decimals(double v) {
    return v >= 99.95 ? 0 : v >= 9.995 ? 1 : v >= 0.9995 || v == 0.0 ? 2 : v >= 0.09995 ? 3 : 4;
}

bench_text bench_ms(double ms) {
    bench_text t = {"-"};
    if (!isfinite(ms)) return t;
    if (ms < 999.5)
        snprintf(t.text, sizeof t.text, "%.*f ms", decimals(ms), ms);
    else if (ms < 600e3)
        snprintf(t.text, sizeof t.text, "%.*f s", decimals(ms / 1e3), ms / 1e3);
    else if (ms < 7200e3)
        snprintf(t.text, sizeof t.text, "%.1f min", ms / 60e3);
    else
        snprintf(t.text, sizeof t.text, "%.1f h", ms / 3600e3);
    return t;
}

bench_text bench_bytes(double v) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    bench_text t = {"-"};
    if (!isfinite(v)) return t;
    int unit = 0;
    while (v >= 999.5 && unit < 4) {
        v /= 1000.0;
        unit++;
    }
    snprintf(t.text, sizeof t.text, "%.*f %s", unit == 0 ? 0 : decimals(v), v, units[unit]);
    return t;
}

bench_text bench_number(double v) {
    bench_text t = {"-"};
    if (isfinite(v) && fabs(v) >= 1e-3 && fabs(v) < 1e6) {
        snprintf(t.text, sizeof t.text, "%.*f", v >= 999.5 ? 0 : decimals(fabs(v)), v);
    } else if (isfinite(v)) {
        snprintf(t.text, sizeof t.text, "%.3g", v);
    }
    return t;
}

void bench_print_machine(const msfl_bench_machine *m) {
    printf("\n%s, kernel %s, %u core%s, load %.2f; one thread copies %.2f GB/s, AES-256-CTR %.2f GB/s, BLAKE2b %.2f "
           "GB/s\n",
           m->processor, m->kernel, m->cores, m->cores == 1 ? "" : "s", m->load, m->memcpy_gbps, m->aes_ctr_gbps,
           m->hash_gbps);
}

msfl_status bench_folder_new(const char *folder) {
    msfl_status status = msfl_folder_make(folder);
    bool is_empty = true;
    if (status == MSFL_OK) status = msfl_folder_is_empty(folder, &is_empty);
    if (status == MSFL_OK && !is_empty) {
        status = msfl_fail(MSFL_ERR_EXISTS, "%s holds something; name a folder that is empty or not there", folder);
    }
    return status;
}

msfl_status bench_write(const char *folder, const char *name, char *text) {
    char *path = msfl_path_join(folder, name);
    msfl_status status = path == NULL ? MSFL_ERR_MEMORY : msfl_file_write(path, text, strlen(text));
    msfl_free(path);
    msfl_bench_text_free(text);
    return status;
}
