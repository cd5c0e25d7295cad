#include "common.h"

#include <math.h>
#include <pthread.h>

/* Every kind of layer; batch normalisation cuts it into phases. */
static const char all_layers[] = "name: all\n"
                                 "input: {height: 16, width: 12, channels: 2}\n"
                                 "classes: 4\n"
                                 "layers:\n"
                                 "  - conv: {filters: 8, kernel: 3, padding: same, bias: false}\n"
                                 "  - batch_norm: {activation: relu}\n"
                                 "  - max_pool\n"
                                 "  - conv: {filters: 12, kernel: [3, 2], stride: [1, 2], padding: same}\n"
                                 "  - group_norm: {groups: 3}\n"
                                 "  - relu\n"
                                 "  - avg_pool: {size: 2, stride: 1}\n"
                                 "  - conv: {filters: 8, kernel: 2, activation: relu}\n"
                                 "  - batch_norm\n"
                                 "  - global_avg_pool\n"
                                 "  - dense: {units: 16, activation: relu}\n"
                                 "  - dropout: {rate: 0.2}\n"
                                 "  - dense: {units: classes}\n";
/* The same without batch normalisation: one phase. */
static const char one_phase[] = "name: one\n"
                                "input: {height: 16, width: 12, channels: 2}\n"
                                "classes: 4\n"
                                "layers:\n"
                                "  - conv: {filters: 8, kernel: 3, activation: relu}\n"
                                "  - max_pool\n"
                                "  - group_norm: {groups: 2, activation: relu}\n"
                                "  - flatten\n"
                                "  - dropout: {rate: 0.25}\n"
                                "  - dense: {units: classes}\n";

enum { N_SAMPLES = 75 };

typedef struct outcome {
    float *weights;
    size_t n;
    msfl_train_result result;
    float probabilities[N_SAMPLES * 4];
    double loss;
} outcome;

static msfl_train_options usual(msfl_optimizer optimizer) {
    msfl_train_options o = msfl_train_options_default();
    o.optimizer = optimizer;
    o.learning_rate = optimizer == MSFL_SGD ? 0.05f : 3e-3f;
    o.batch = 18;
    o.n_epochs = 3;
    o.seed = 5;
    o.augment = true;
    o.weight_decay = 1e-3f;
    return o;
}

static void train(const char *yaml, uint32_t n_threads, msfl_trainer *share, msfl_optimizer optimizer, outcome *out) {
    msfl_model *model = model_of(yaml);
    pictures p = {16, 12, 2, 4, 3};
    msfl_samples samples = pictures_samples(&p, N_SAMPLES);
    msfl_trainer *t;
    assert_ok(msfl_trainer_new(model, 18, n_threads, share, &t));
    out->n = msfl_model_info_borrow(model)->n_values;
    out->weights = calloc(out->n, sizeof *out->weights);
    msfl_model_init(model, 7, out->weights);
    msfl_model_free(model); /* the trainer keeps what it needs */
    msfl_train_options o = usual(optimizer);
    assert_ok(msfl_train(t, &o, &samples, out->weights, NULL, "test", -1, &out->result));
    assert_ok(msfl_predict(t, out->weights, &samples, out->probabilities, NULL, &out->loss));
    msfl_trainer_free(t);
}

static void assert_same(const outcome *a, const outcome *b) {
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->weights, b->weights, a->n * sizeof *a->weights);
    assert_memory_equal(&a->result, &b->result, sizeof a->result);
    assert_memory_equal(a->probabilities, b->probabilities, sizeof a->probabilities);
    assert_memory_equal(&a->loss, &b->loss, sizeof a->loss);
}

static void it_learns(void **state) {
    (void)state;
    const char *const networks[] = {all_layers, one_phase};
    for (int i = 0; i < 2; i++) {
        msfl_model *model = model_of(networks[i]);
        pictures p = {16, 12, 2, 4, 3}, q = {16, 12, 2, 4, 4};
        msfl_samples samples = pictures_samples(&p, 300), others = pictures_samples(&q, 200);
        msfl_trainer *t;
        assert_ok(msfl_trainer_new(model, 32, 0, NULL, &t));
        float *weights = calloc(msfl_model_info_borrow(model)->n_values, sizeof *weights);
        msfl_model_init(model, 1, weights);
        msfl_train_options o = msfl_train_options_default();
        o.n_epochs = 8;
        o.learning_rate = 1e-2f;
        msfl_train_result result;
        assert_ok(msfl_train(t, &o, &samples, weights, NULL, "test", -1, &result));
        assert_int_equal(result.n_seen, 300);
        assert_int_equal(result.n_steps, 80);
        float probabilities[200 * 4];
        uint32_t labels[200], n_right = 0;
        double loss;
        assert_ok(msfl_predict(t, weights, &others, probabilities, labels, &loss));
        for (int s = 0; s < 200; s++) {
            const float *row = probabilities + 4 * s;
            float sum = row[0] + row[1] + row[2] + row[3];
            assert_true(fabsf(sum - 1.0f) < 1e-5f);
            assert_int_equal(labels[s], s % 4);
            int best = 0;
            for (int c = 1; c < 4; c++)
                best = row[c] > row[best] ? c : best;
            n_right += best == s % 4;
        }
        assert_true(n_right > 190);
        assert_true(loss < 0.2);
        free(weights);
        msfl_trainer_free(t);
        msfl_model_free(model);
    }
}

static void same_bits_for_any_number_of_threads(void **state) {
    (void)state;
    const char *const networks[] = {all_layers, one_phase};
    for (int i = 0; i < 4; i++) {
        outcome first, other;
        train(networks[i / 2], 1, NULL, i % 2 ? MSFL_ADAM : MSFL_SGD, &first);
        for (uint32_t n = 1; n <= 5; n++) {
            train(networks[i / 2], n, NULL, i % 2 ? MSFL_ADAM : MSFL_SGD, &other);
            assert_same(&first, &other);
            free(other.weights);
        }
        free(first.weights);
    }
}

typedef struct hospital {
    msfl_trainer *share;
    const char *yaml;
    outcome out;
} hospital;

static void *hospital_run(void *arg) {
    hospital *h = arg;
    train(h->yaml, 0, h->share, MSFL_ADAM, &h->out);
    return NULL;
}

/* Trainers of one group, at the same time in threads of their own: as when alone. */
static void same_bits_side_by_side(void **state) {
    (void)state;
    enum { N = 3 };
    const char *const networks[] = {all_layers, one_phase};
    for (int i = 0; i < 2; i++) {
        outcome alone;
        train(networks[i], 1, NULL, MSFL_ADAM, &alone);
        msfl_model *model = model_of(networks[i]);
        msfl_trainer *share;
        assert_ok(msfl_trainer_new(model, 18, 2, NULL, &share));
        hospital hospitals[N];
        pthread_t threads[N];
        for (int h = 0; h < N; h++) {
            hospitals[h] = (hospital){.share = share, .yaml = networks[i]};
            assert_int_equal(pthread_create(&threads[h], NULL, hospital_run, &hospitals[h]), 0);
        }
        for (int h = 0; h < N; h++) {
            pthread_join(threads[h], NULL);
            assert_same(&alone, &hospitals[h].out);
            free(hospitals[h].out.weights);
        }
        msfl_trainer_free(share);
        msfl_model_free(model);
        free(alone.weights);
    }
}

/* Three epochs at once, or one by one with the optimiser's state carried over as bytes to a new trainer. */
static void state_resumes(void **state) {
    (void)state;
    for (int optimizer = 0; optimizer < 2; optimizer++) {
        outcome whole;
        train(all_layers, 2, NULL, (msfl_optimizer)optimizer, &whole);
        msfl_model *model = model_of(all_layers);
        pictures p = {16, 12, 2, 4, 3};
        msfl_samples samples = pictures_samples(&p, N_SAMPLES);
        float *weights = calloc(whole.n, sizeof *weights);
        msfl_model_init(model, 7, weights);
        uint8_t *bytes = NULL;
        size_t length = 0;
        for (uint64_t e = 0; e < 3; e++) {
            msfl_trainer *t;
            assert_ok(msfl_trainer_new(model, 18, 2, NULL, &t));
            if (e > 0) assert_ok(msfl_trainer_state_load(t, bytes, length));
            msfl_bytes_free(bytes);
            msfl_train_options o = usual((msfl_optimizer)optimizer);
            o.n_epochs = 1;
            o.first_epoch = e;
            assert_ok(msfl_train(t, &o, &samples, weights, NULL, "test", -1, NULL));
            assert_ok(msfl_trainer_state_save(t, &bytes, &length));
            msfl_trainer_free(t);
        }
        assert_memory_equal(weights, whole.weights, whole.n * sizeof *weights);
        msfl_bytes_free(bytes);
        free(weights);
        free(whole.weights);
        msfl_model_free(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns),
        cmocka_unit_test(same_bits_for_any_number_of_threads),
        cmocka_unit_test(same_bits_side_by_side),
        cmocka_unit_test(state_resumes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
