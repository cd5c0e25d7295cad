#include "base/error.h"
#include "cmd.h"
#include "columns.h"
#include "medsecurefl/simulate.h"
#include "terminal.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

static void print_figure(const json_t *r, const char *label, const char *name) {
    const json_t *v = json_object_get(r, name), *interval = json_object_get(json_object_get(r, "intervals"), name);
    printf("%-18s ", label);
    if (!json_is_number(v)) {
        printf("not defined\n");
    } else if (json_is_number(json_array_get(interval, 0))) {
        printf("%.4f  [%.4f, %.4f]\n", json_number_value(v), json_number_value(json_array_get(interval, 0)),
               json_number_value(json_array_get(interval, 1)));
    } else {
        printf("%.4f\n", json_number_value(v));
    }
}

/* Masks have figures of their own. */
static void print_mask_figures(const json_t *r) {
    printf("images             %lld\npatients           %lld\n", (long long)json_integer_value(json_object_get(r, "n")),
           (long long)json_integer_value(json_object_get(r, "patients")));
    print_figure(r, "Dice", "dice");
    const char *unit = json_string_value(json_object_get(r, "hausdorff95_unit"));
    const char *distance = unit == NULL              ? "Hausdorff-95"
                           : strcmp(unit, "mm") == 0 ? "Hausdorff-95, mm"
                                                     : "Hausdorff-95, px";
    print_figure(r, distance, "hausdorff95");
    print_figure(r, "right pixels", "accuracy");
    print_figure(r, "loss", "loss");
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(r, "structures"), i, one) {
        printf("\nstructure          %lld\n", (long long)json_integer_value(json_object_get(one, "class")));
        print_figure(one, "Dice", "dice");
        print_figure(one, distance, "hausdorff95");
    }
}

static void print_figures(const json_t *r) {
    static const char *const names[] = {"auc", "accuracy", "balanced_accuracy", "sensitivity", "specificity",
                                        "f1",  "loss",     "calibration"};
    printf("images             %lld\n", (long long)json_integer_value(json_object_get(r, "n")));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        print_figure(r, names[i], names[i]);
    }
    printf("\nconfusion (rows: true class; columns: predicted, in the same order)\n");
    const json_t *row, *cell, *classes = json_object_get(r, "classes");
    size_t i, j;
    json_array_foreach(json_object_get(r, "confusion"), i, row) {
        const char *name = json_string_value(json_array_get(classes, i));
        size_t width = cli_columns(name == NULL ? "?" : name);
        printf("  ");
        cli_print_safely(stdout, name == NULL ? "?" : name);
        printf("%*s", width < 16 ? 16 - (int)width : 0, "");
        json_array_foreach(row, j, cell) printf(" %7lld", (long long)json_integer_value(cell));
        printf("\n");
    }
}

msfl_status cmd_evaluate(int argc, char **argv) {
    msfl_evaluate_options o = msfl_evaluate_options_default();
    bool json = false, quiet = false;
    const cli_option options[] = {{"model", CLI_TEXT, &o.model, 0, 0},
                                  {"data", CLI_TEXT, &o.data, 0, 0},
                                  {"label", CLI_TEXT, &o.label, 0, 0},
                                  {"data-key", CLI_TEXT, &o.data_key, 0, 0},
                                  {"recipe", CLI_TEXT, &o.recipe, 0, 0},
                                  {"any-recipe", CLI_FLAG, &o.any_recipe, 0, 0},
                                  {"set", CLI_TEXT, &o.set, 0, 0},
                                  {"labels", CLI_TEXT, &o.labels, 0, 0},
                                  {"patient", CLI_TEXT, &o.patient, 0, 0},
                                  {"masks", CLI_TEXT, &o.masks, 0, 0},
                                  {"views", CLI_U32, &o.n_views, 1, MSFL_VIEWS_MAX},
                                  {"augment", CLI_TEXT, &o.augmentation, 0, 0},
                                  {"part", CLI_TEXT, &o.part, 0, 0},
                                  {"phantom-images", CLI_U32, &o.phantom_images, 20, 1e6},
                                  {"by-position", CLI_FLAG, &o.by_position, 0, 0},
                                  {"seed", CLI_U64, &o.seed, 0, 0x1p53},
                                  {"test-fraction", CLI_F64, &o.test_fraction, 0.01, 0.8},
                                  {"validation-fraction", CLI_F64, &o.validation_fraction, 0, 0.5},
                                  {"bootstrap", CLI_U32, &o.n_bootstrap, 0, 10000},
                                  {"threads", CLI_U32, &o.n_threads, 0, 256},
                                  {"refuse-bad", CLI_FLAG, &o.refuse_bad, 0, 0},
                                  {"json", CLI_FLAG, &json, 0, 0},
                                  {"quiet", CLI_FLAG, &quiet, 0, 0},
                                  {0}};
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status != MSFL_OK) return status;
    if (o.model == NULL || o.data == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "both are needed: --model FILE.h5 and --data DIR, FILE.npz or phantom");
    }
    cli_terminal *terminal = cli_terminal_new(NULL, 0, quiet);
    const msfl_observer observer = {.observe = cli_terminal_observe, .ctx = terminal, .cancel = cli_cancel_flag()};
    o.observer = &observer;
    char *text = NULL;
    status = msfl_evaluate(&o, &text);
    cli_terminal_free(terminal);
    if (status != MSFL_OK) return status;
    if (json) {
        puts(text);
    } else {
        json_t *result;
        status = msfl_json_parse("the result", text, strlen(text), SIZE_MAX, &result);
        if (status == MSFL_OK) {
            const bool is_all = strcmp(o.part, "all") == 0;
            printf("part               %s%s\n", o.part,
                   is_all ? ", with what the model was trained on, if it was on these" : "");
            (json_object_get(result, "structures") != NULL ? print_mask_figures : print_figures)(result);
            json_decref(result);
        }
    }
    msfl_text_free(text);
    return status;
}
