/* The parts of `medsecurefl bench`, and what they share. */
#ifndef MSFL_CLI_BENCH_H
#define MSFL_CLI_BENCH_H

#include "medsecurefl/bench.h"
#include "terminal.h"

msfl_status bench_he(int argc, char **argv);
msfl_status bench_compare(int argc, char **argv);
msfl_status bench_layers(int argc, char **argv);
msfl_status bench_round(int argc, char **argv);
msfl_status bench_train(int argc, char **argv);

/** What a person sees on standard error, and a stop on request. */
typedef struct bench_watch {
    cli_terminal *terminal;
    msfl_observer observer;
} bench_watch;

void bench_watch_begin(bench_watch *w, bool quiet);
void bench_watch_end(bench_watch *w);

/** "0.42 ms", "12.3 s", "2.5 h"; "-" for NaN. */
typedef struct bench_text {
    char text[32];
} bench_text;
bench_text bench_ms(double ms);
bench_text bench_bytes(double bytes);
/** Three significant digits. */
bench_text bench_number(double v);

/** The machine, in one line. */
void bench_print_machine(const msfl_bench_machine *m);

/** Make the folder, and refuse one that holds something: ERR_EXISTS. */
msfl_status bench_folder_new(const char *folder) MSFL_NODISCARD;
/** Write `text` to folder/name, and free it. */
msfl_status bench_write(const char *folder, const char *name, char *text) MSFL_NODISCARD;

#endif
