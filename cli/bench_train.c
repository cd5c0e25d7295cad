/* medsecurefl bench train: images per second through a network. */
#include "base/error.h"
#include "bench.h"
#include "cmd.h"

#include <stdio.h>

static void print(const msfl_bench_train *r) {
    printf("%s (%llu values) on ", r->model, (unsigned long long)r->values);
    if (r->depth != 0) printf("%u x ", r->depth);
    printf("%u x %u x %u, %u classes, batches of %u, %u threads\n\n", r->height, r->width, r->channels, r->n_classes,
           r->batch, r->threads);
    printf("training     %s images per second (forward, backward, Adam; best of %u runs)\n",
           bench_number(r->train_ips).text, r->n_runs);
    printf("             %s by processor time\n", bench_number(r->train_cpu_ips).text);
    printf("prediction   %s images per second\n", bench_number(r->predict_ips).text);
    printf("memory       %s in the trainer, whatever the number of images; %s the process at its peak\n",
           bench_bytes((double)r->trainer_bytes).text, bench_bytes((double)r->peak_bytes).text);
}

msfl_status bench_train(int argc, char **argv) {
    msfl_bench_train_options o = {.model = "cnn-small", .batch = 32, .seconds = 3};
    uint32_t size = 0;
    bool json = false, quiet = false;
    const cli_option options[] = {
        {"model", CLI_TEXT, &o.model, 0, 0},
        {"size", CLI_U32, &size, 1, 4096},
        {"channels", CLI_U32, &o.channels, 1, 8},
        {"classes", CLI_U32, &o.n_classes, 2, 1024},
        {"batch", CLI_U32, &o.batch, 1, 1024},
        {"threads", CLI_U32, &o.n_threads, 0, 256},
        {"seconds", CLI_F64, &o.seconds, 0, 3600},
        {"json", CLI_FLAG, &json, 0, 0},
        {"quiet", CLI_FLAG, &quiet, 0, 0},
        {"depth", CLI_U32, &o.depth, 2, 4096},
        {"height", CLI_U32, &o.height, 1, 4096},
        {"width", CLI_U32, &o.width, 1, 4096},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status != MSFL_OK) return status;
    if (size != 0) o.height = o.width = size;
    msfl_bench_train report;
    bench_watch watch;
    bench_watch_begin(&watch, quiet);
    status = msfl_bench_train_run(&o, &watch.observer, &report);
    bench_watch_end(&watch);
    if (status != MSFL_OK) return status;
    if (!json) {
        print(&report);
        return MSFL_OK;
    }
    char *text = NULL;
    status = msfl_bench_train_json(&report, &text);
    if (status == MSFL_OK) puts(text);
    msfl_bench_text_free(text);
    return status;
}
