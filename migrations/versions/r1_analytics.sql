-- recommendation_requests
CREATE TABLE recommendation_requests (
    id serial NOT NULL,
    request_id uuid NOT NULL,
    session_id varchar(64),
    user_id integer,
    created_at timestamptz DEFAULT now(),
    preferences jsonb NOT NULL,
    selected_countries integer[],
    selected_continents text[],
    preferred_type_id integer,
    preferred_theme_ids integer[],
    min_duration integer,
    max_duration integer,
    budget numeric(10,2),
    difficulty integer,
    year varchar(4),
    month varchar(2),
    response_time_ms integer NOT NULL,
    total_candidates integer NOT NULL,
    primary_count integer NOT NULL,
    relaxed_count integer NOT NULL DEFAULT 0,
    final_count integer NOT NULL,
    has_relaxed_results boolean DEFAULT false,
    has_no_results boolean DEFAULT false,
    top_score numeric(5,2),
    avg_score numeric(5,2),
    min_score numeric(5,2),
    score_std_dev numeric(5,2),
    result_trip_ids integer[] NOT NULL,
    result_scores numeric(5,2)[] NOT NULL,
    algorithm_version varchar(32) DEFAULT 'v1.0',
    CONSTRAINT recommendation_requests_pkey PRIMARY KEY (id),
    CONSTRAINT recommendation_requests_request_id_key UNIQUE (request_id)
);
CREATE INDEX idx_rec_requests_created_at ON recommendation_requests (created_at);
CREATE INDEX idx_rec_requests_has_relaxed ON recommendation_requests (has_relaxed_results);
CREATE INDEX idx_rec_requests_no_results ON recommendation_requests (has_no_results);
CREATE INDEX idx_rec_requests_session ON recommendation_requests (session_id);
CREATE INDEX idx_rec_requests_type ON recommendation_requests (preferred_type_id);

-- recommendation_metrics_daily
CREATE TABLE recommendation_metrics_daily (
    id serial NOT NULL,
    date date NOT NULL,
    total_requests integer NOT NULL DEFAULT 0,
    unique_sessions integer NOT NULL DEFAULT 0,
    avg_response_time_ms numeric(10,2),
    p50_response_time_ms integer,
    p95_response_time_ms integer,
    p99_response_time_ms integer,
    max_response_time_ms integer,
    avg_top_score numeric(5,2),
    avg_result_count numeric(5,2),
    relaxed_trigger_rate numeric(5,4),
    no_results_rate numeric(5,4),
    low_score_rate numeric(5,4),
    searches_with_country integer,
    searches_with_continent integer,
    searches_with_type integer,
    searches_with_themes integer,
    searches_with_budget integer,
    searches_with_dates integer,
    top_countries jsonb,
    top_continents jsonb,
    top_types jsonb,
    top_themes jsonb,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    CONSTRAINT recommendation_metrics_daily_pkey PRIMARY KEY (id),
    CONSTRAINT recommendation_metrics_daily_date_key UNIQUE (date)
);

-- evaluation_scenarios
CREATE TABLE evaluation_scenarios (
    id serial NOT NULL,
    name varchar(100) NOT NULL,
    description text,
    category varchar(50),
    preferences jsonb NOT NULL,
    expected_min_results integer DEFAULT 1,
    expected_min_top_score numeric(5,2),
    expected_trip_types integer[],
    expected_countries integer[],
    baseline_result_ids integer[],
    baseline_scores numeric(5,2)[],
    baseline_captured_at timestamptz,
    is_active boolean DEFAULT true,
    priority integer DEFAULT 5,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    CONSTRAINT evaluation_scenarios_pkey PRIMARY KEY (id)
);
