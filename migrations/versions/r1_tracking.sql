-- users
CREATE TABLE users (
    id serial NOT NULL,
    anonymous_id uuid NOT NULL,
    email varchar(255),
    name varchar(100),
    name_he varchar(100),
    phone varchar(20),
    preferred_language varchar(5) DEFAULT 'he',
    first_seen_at timestamptz DEFAULT now(),
    last_seen_at timestamptz DEFAULT now(),
    total_sessions integer DEFAULT 1,
    total_searches integer DEFAULT 0,
    total_clicks integer DEFAULT 0,
    is_registered boolean DEFAULT false,
    is_active boolean DEFAULT true,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_anonymous_id_key UNIQUE (anonymous_id),
    CONSTRAINT users_email_key UNIQUE (email)
);
CREATE INDEX idx_users_anonymous_id ON users (anonymous_id);
CREATE INDEX idx_users_email ON users (email) WHERE email IS NOT NULL;
CREATE INDEX idx_users_last_seen ON users (last_seen_at);

-- sessions
CREATE TABLE sessions (
    id serial NOT NULL,
    session_id uuid NOT NULL,
    user_id integer,
    anonymous_id uuid NOT NULL,
    started_at timestamptz DEFAULT now(),
    ended_at timestamptz,
    duration_seconds integer,
    user_agent text,
    ip_address inet,
    referrer text,
    device_type varchar(20),
    search_count integer DEFAULT 0,
    click_count integer DEFAULT 0,
    save_count integer DEFAULT 0,
    contact_count integer DEFAULT 0,
    created_at timestamptz DEFAULT now(),
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_session_id_key UNIQUE (session_id),
    CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX idx_sessions_anonymous_id ON sessions (anonymous_id);
CREATE INDEX idx_sessions_session_id ON sessions (session_id);
CREATE INDEX idx_sessions_started_at ON sessions (started_at);
CREATE INDEX idx_sessions_user_id ON sessions (user_id);

-- event_categories
CREATE TABLE event_categories (
    id integer NOT NULL,
    name varchar(50) NOT NULL,
    name_he varchar(50) NOT NULL,
    description text,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT event_categories_pkey PRIMARY KEY (id),
    CONSTRAINT event_categories_name_key UNIQUE (name)
);
CREATE INDEX ix_event_categories_name ON event_categories (name);

-- event_types
CREATE TABLE event_types (
    id integer NOT NULL,
    name varchar(50) NOT NULL,
    name_he varchar(50) NOT NULL,
    category_id integer NOT NULL,
    description text,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT event_types_pkey PRIMARY KEY (id),
    CONSTRAINT event_types_name_key UNIQUE (name),
    CONSTRAINT event_types_category_id_fkey FOREIGN KEY (category_id) REFERENCES event_categories (id) ON DELETE RESTRICT
);
CREATE INDEX ix_event_types_category ON event_types (category_id);
CREATE INDEX ix_event_types_name ON event_types (name);

-- events
CREATE TABLE events (
    id bigserial NOT NULL,
    user_id integer,
    session_id uuid NOT NULL,
    anonymous_id uuid NOT NULL,
    trip_id integer,
    recommendation_request_id uuid,
    source varchar(50),
    event_data jsonb DEFAULT '{}'::jsonb,
    position_in_results integer,
    score_at_time numeric(5,2),
    timestamp timestamptz DEFAULT now(),
    client_timestamp timestamptz,
    page_url text,
    referrer text,
    created_at timestamptz DEFAULT now(),
    event_type_id integer NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (id),
    CONSTRAINT events_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT fk_events_event_type FOREIGN KEY (event_type_id) REFERENCES event_types (id) ON DELETE RESTRICT
);
CREATE INDEX idx_events_session_id ON events (session_id);
CREATE INDEX idx_events_source ON events (source);
CREATE INDEX idx_events_timestamp ON events (timestamp);
CREATE INDEX idx_events_trip_id ON events (trip_id);
CREATE INDEX idx_events_trip_timestamp ON events (trip_id, timestamp);
CREATE INDEX idx_events_user_id ON events (user_id);
CREATE INDEX idx_events_user_timestamp ON events (user_id, timestamp);
CREATE INDEX ix_events_event_type_id ON events (event_type_id);

-- trip_interactions
CREATE TABLE trip_interactions (
    id serial NOT NULL,
    trip_id integer NOT NULL,
    impression_count integer DEFAULT 0,
    unique_viewers integer DEFAULT 0,
    click_count integer DEFAULT 0,
    unique_clickers integer DEFAULT 0,
    total_dwell_time_seconds integer DEFAULT 0,
    avg_dwell_time_seconds integer DEFAULT 0,
    save_count integer DEFAULT 0,
    whatsapp_contact_count integer DEFAULT 0,
    phone_contact_count integer DEFAULT 0,
    booking_start_count integer DEFAULT 0,
    click_through_rate numeric(5,4),
    save_rate numeric(5,4),
    contact_rate numeric(5,4),
    impressions_7d integer DEFAULT 0,
    clicks_7d integer DEFAULT 0,
    last_clicked_at timestamptz,
    updated_at timestamptz DEFAULT now(),
    CONSTRAINT trip_interactions_pkey PRIMARY KEY (id),
    CONSTRAINT trip_interactions_trip_id_key UNIQUE (trip_id)
);
CREATE INDEX idx_trip_interactions_clicks ON trip_interactions (click_count DESC);
CREATE INDEX idx_trip_interactions_ctr ON trip_interactions (click_through_rate DESC NULLS LAST);
CREATE INDEX idx_trip_interactions_trip_id ON trip_interactions (trip_id);
