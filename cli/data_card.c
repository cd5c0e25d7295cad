/* medsecurefl data card, and data inspect --html. */
#include "base/error.h"
#include "cmd.h"
#include "cmd_data.h"
#include "columns.h"
#include "medsecurefl/card.h"
#include "medsecurefl/simulate.h"
#include "terminal.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

static void print_card(const json_t *c) {
    const json_t *v, *k;
    size_t i, j;
    char patients[40] = "";
    if (!json_is_null(json_object_get(c, "patient_key"))) {
        snprintf(patients, sizeof patients, " of %lld patients",
                 (long long)json_integer_value(json_object_get(c, "patients")));
    }
    printf("%lld pictures%s, %lld x %lld, %lld bits\n", (long long)json_integer_value(json_object_get(c, "images")),
           patients, (long long)json_integer_value(json_object_get(c, "width")),
           (long long)json_integer_value(json_object_get(c, "height")),
           (long long)json_integer_value(json_object_get(c, "bits")));
    json_array_foreach(json_object_get(c, "classes"), i, v) {
        printf("  %8lld  ", (long long)json_integer_value(json_object_get(v, "images")));
        cli_print_safely(stdout, json_string_value(json_object_get(v, "name")));
        putchar('\n');
    }
    json_array_foreach(json_object_get(c, "hospitals"), i, v) {
        cli_print_safely(stdout, json_string_value(json_object_get(v, "name")));
        printf(": %lld pictures, by class", (long long)json_integer_value(json_object_get(v, "images")));
        json_array_foreach(json_object_get(v, "counts"), j, k) printf(" %lld", (long long)json_integer_value(k));
        const json_t *s = json_object_get(v, "shift");
        if (s != NULL) {
            printf("; gamma %.2f, blur %.1f %%, noise %.1f %%, resolution %.0f %%",
                   json_number_value(json_object_get(s, "gamma")), 100 * json_number_value(json_object_get(s, "blur")),
                   100 * json_number_value(json_object_get(s, "noise")),
                   100 * json_number_value(json_object_get(s, "resolution")));
        }
        putchar('\n');
    }
    json_array_foreach(json_object_get(c, "warnings"), i, v) {
        printf("warning: ");
        cli_print_safely(stdout, json_string_value(v));
        putchar('\n');
    }
}

msfl_status cli_data_card(int argc, char **argv) {
    msfl_card_options o = {.seed = 1};
    uint32_t size = 0;
    size_t n = 0;
    bool json = false, quiet = false;
    const cli_option options[] = {{"key", CLI_TEXT, &o.dataset.key, 0, 0},
                                  {"data", CLI_TEXT, &o.data, 0, 0},
                                  {"label", CLI_TEXT, &o.dataset.label, 0, 0},
                                  {"name", CLI_TEXT, &o.name, 0, 0},
                                  {"html", CLI_TEXT, &o.html, 0, 0},
                                  {"size", CLI_U32, &size, 1, 16384},
                                  {"channels", CLI_U32, &o.dataset.channels, 1, 3},
                                  {"clients", CLI_U32, &o.n_clients, 1, 1000},
                                  {"partition", CLI_TEXT, &o.partition, 0, 0},
                                  {"shift", CLI_TEXT, &o.shift, 0, 0},
                                  {"phantom-images", CLI_U32, &o.dataset.phantom_images, 10, 1e7},
                                  {"seed", CLI_U64, &o.seed, 0, 0x1p53},
                                  {"threads", CLI_U32, &o.dataset.n_threads, 0, 256},
                                  {"quiet", CLI_FLAG, &quiet, 0, 0},
                                  {"json", CLI_FLAG, &json, 0, 0},
                                  {0}};
    const char *word = NULL;
    msfl_status status = cli_parse(argc, argv, options, &word, 1, &n);
    if (status != MSFL_OK) return status;
    if (n == 1) o.data = word;
    if (o.data == NULL) return msfl_fail(MSFL_ERR_USAGE, "name a set or other data: data card SET");
    if (o.n_clients == 0 && (o.partition != NULL || o.shift != NULL)) {
        return msfl_fail(MSFL_ERR_USAGE, "--partition and --shift deal out to hospitals: say how many with --clients");
    }
    cli_terminal *terminal = cli_terminal_new(NULL, 0, quiet);
    const msfl_observer observer = {.observe = cli_terminal_observe, .ctx = terminal, .cancel = cli_cancel_flag()};
    o.dataset.width = o.dataset.height = size;
    o.dataset.seed = o.seed;
    o.dataset.observer = &observer;
    char *text = NULL;
    status = msfl_card(&o, &text);
    cli_terminal_free(terminal);
    if (status != MSFL_OK) return status;
    json_t *card = NULL;
    if (json) {
        puts(text);
    } else {
        status = msfl_json_parse("the card", text, strlen(text), SIZE_MAX, &card);
        if (status == MSFL_OK) print_card(card);
        json_decref(card);
    }
    msfl_text_free(text);
    return status;
}
