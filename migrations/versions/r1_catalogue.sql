-- continent
CREATE TYPE continent AS ENUM (
    'AFRICA', 'ASIA', 'EUROPE', 'NORTH_AND_CENTRAL_AMERICA', 'SOUTH_AMERICA', 'OCEANIA', 'ANTARCTICA'
);

-- gender
CREATE TYPE gender AS ENUM ('MALE', 'FEMALE', 'OTHER');

-- reviewsource
CREATE TYPE reviewsource AS ENUM ('WEBSITE', 'APP', 'EMAIL', 'IMPORTED');

-- countries
CREATE TABLE countries (
    id serial NOT NULL,
    name varchar(100) NOT NULL,
    name_he varchar(100) NOT NULL,
    continent continent NOT NULL,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    CONSTRAINT countries_pkey PRIMARY KEY (id)
);
CREATE INDEX ix_countries_continent ON countries (continent);
CREATE UNIQUE INDEX ix_countries_name ON countries (name);

-- guides
CREATE TABLE guides (
    id serial NOT NULL,
    name varchar(100) NOT NULL,
    name_he varchar(100),
    email varchar(255) NOT NULL,
    phone varchar(20),
    gender gender NOT NULL,
    age integer,
    bio text,
    bio_he text,
    image_url varchar(500),
    is_active boolean NOT NULL,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    CONSTRAINT guides_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix_guides_email ON guides (email);
CREATE INDEX ix_guides_is_active ON guides (is_active);

-- companies
CREATE TABLE companies (
    id serial NOT NULL,
    name varchar(255) NOT NULL,
    name_he varchar(255) NOT NULL,
    description text,
    description_he text,
    logo_url varchar(500),
    website_url varchar(500),
    email varchar(255),
    phone varchar(50),
    address text,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT companies_pkey PRIMARY KEY (id),
    CONSTRAINT companies_name_key UNIQUE (name)
);
CREATE INDEX ix_companies_is_active ON companies (is_active);
CREATE INDEX ix_companies_name ON companies (name);

-- tags
CREATE TABLE tags (
    id serial NOT NULL,
    name varchar(100) NOT NULL,
    name_he varchar(100) NOT NULL,
    description text,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    CONSTRAINT tags_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix_tags_name ON tags (name);

-- trip_types
CREATE TABLE trip_types (
    id serial NOT NULL,
    name varchar(100) NOT NULL,
    name_he varchar(100) NOT NULL,
    description text,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    CONSTRAINT trip_types_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix_trip_types_name ON trip_types (name);

-- trip_templates
CREATE TABLE trip_templates (
    id serial NOT NULL,
    title varchar(255) NOT NULL,
    title_he varchar(255) NOT NULL,
    description text NOT NULL,
    description_he text NOT NULL,
    short_description varchar(500),
    short_description_he varchar(500),
    image_url varchar(500),
    base_price numeric(10,2) NOT NULL,
    single_supplement_price numeric(10,2),
    typical_duration_days integer NOT NULL,
    default_max_capacity integer NOT NULL,
    difficulty_level smallint NOT NULL,
    company_id integer NOT NULL,
    trip_type_id integer,
    primary_country_id integer,
    is_active boolean NOT NULL DEFAULT true,
    properties jsonb,
    legacy_trip_id integer,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT trip_templates_pkey PRIMARY KEY (id),
    CONSTRAINT ck_templates_duration_positive CHECK (typical_duration_days > 0),
    CONSTRAINT ck_templates_price_positive CHECK (base_price >= 0),
    CONSTRAINT trip_templates_difficulty_level_check CHECK (difficulty_level BETWEEN 1 AND 5),
    CONSTRAINT trip_templates_company_id_fkey FOREIGN KEY (company_id) REFERENCES companies (id) ON DELETE RESTRICT,
    CONSTRAINT trip_templates_trip_type_id_fkey FOREIGN KEY (trip_type_id) REFERENCES trip_types (id) ON DELETE RESTRICT,
    CONSTRAINT trip_templates_primary_country_id_fkey FOREIGN KEY (primary_country_id) REFERENCES countries (id) ON DELETE RESTRICT
);
CREATE INDEX ix_trip_templates_active ON trip_templates (is_active);
CREATE INDEX ix_trip_templates_company ON trip_templates (company_id);
CREATE INDEX ix_trip_templates_country ON trip_templates (primary_country_id);
CREATE INDEX ix_trip_templates_difficulty ON trip_templates (difficulty_level);
CREATE INDEX ix_trip_templates_legacy ON trip_templates (legacy_trip_id);
CREATE INDEX ix_trip_templates_title ON trip_templates (title);
CREATE INDEX ix_trip_templates_type ON trip_templates (trip_type_id);

-- trip_template_tags
CREATE TABLE trip_template_tags (
    trip_template_id integer NOT NULL,
    tag_id integer NOT NULL,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT trip_template_tags_pkey PRIMARY KEY (trip_template_id, tag_id),
    CONSTRAINT trip_template_tags_trip_template_id_fkey FOREIGN KEY (trip_template_id) REFERENCES trip_templates (id) ON DELETE CASCADE,
    CONSTRAINT trip_template_tags_tag_id_fkey FOREIGN KEY (tag_id) REFERENCES tags (id) ON DELETE CASCADE
);
CREATE INDEX ix_trip_template_tags_tag ON trip_template_tags (tag_id);

-- trip_template_countries
CREATE TABLE trip_template_countries (
    trip_template_id integer NOT NULL,
    country_id integer NOT NULL,
    visit_order integer NOT NULL DEFAULT 1,
    days_in_country integer,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT trip_template_countries_pkey PRIMARY KEY (trip_template_id, country_id),
    CONSTRAINT trip_template_countries_trip_template_id_fkey FOREIGN KEY (trip_template_id) REFERENCES trip_templates (id) ON DELETE CASCADE,
    CONSTRAINT trip_template_countries_country_id_fkey FOREIGN KEY (country_id) REFERENCES countries (id) ON DELETE CASCADE
);
CREATE INDEX ix_trip_template_countries_country ON trip_template_countries (country_id);
CREATE INDEX ix_trip_template_countries_order ON trip_template_countries (trip_template_id, visit_order);

-- trip_occurrences
CREATE TABLE trip_occurrences (
    id serial NOT NULL,
    trip_template_id integer NOT NULL,
    guide_id integer,
    start_date date NOT NULL,
    end_date date NOT NULL,
    price_override numeric(10,2),
    single_supplement_override numeric(10,2),
    max_capacity_override integer,
    spots_left integer NOT NULL,
    status varchar(20) NOT NULL DEFAULT 'Open',
    image_url_override varchar(500),
    notes text,
    notes_he text,
    properties jsonb,
    legacy_trip_id integer,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT trip_occurrences_pkey PRIMARY KEY (id),
    CONSTRAINT ck_occurrences_valid_dates CHECK (end_date >= start_date),
    CONSTRAINT trip_occurrences_spots_left_check CHECK (spots_left >= 0),
    CONSTRAINT trip_occurrences_trip_template_id_fkey FOREIGN KEY (trip_template_id) REFERENCES trip_templates (id) ON DELETE RESTRICT,
    CONSTRAINT trip_occurrences_guide_id_fkey FOREIGN KEY (guide_id) REFERENCES guides (id) ON DELETE SET NULL
);
CREATE INDEX ix_trip_occurrences_dates ON trip_occurrences (start_date, end_date);
CREATE INDEX ix_trip_occurrences_guide ON trip_occurrences (guide_id);
CREATE INDEX ix_trip_occurrences_legacy ON trip_occurrences (legacy_trip_id);
CREATE INDEX ix_trip_occurrences_status ON trip_occurrences (status);
CREATE INDEX ix_trip_occurrences_template ON trip_occurrences (trip_template_id);

-- price_history
CREATE TABLE price_history (
    id serial NOT NULL,
    trip_template_id integer NOT NULL,
    old_price numeric(10,2),
    new_price numeric(10,2) NOT NULL,
    change_reason varchar(255),
    changed_by varchar(100),
    changed_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT price_history_pkey PRIMARY KEY (id),
    CONSTRAINT price_history_trip_template_id_fkey FOREIGN KEY (trip_template_id) REFERENCES trip_templates (id) ON DELETE CASCADE
);
CREATE INDEX ix_price_history_date ON price_history (changed_at);
CREATE INDEX ix_price_history_template ON price_history (trip_template_id);

-- reviews
CREATE TABLE reviews (
    id serial NOT NULL,
    trip_template_id integer NOT NULL,
    trip_occurrence_id integer,
    reviewer_name varchar(100),
    reviewer_email varchar(255),
    is_anonymous boolean NOT NULL DEFAULT false,
    rating smallint NOT NULL,
    title varchar(200),
    content text,
    content_he text,
    source varchar(20) NOT NULL DEFAULT 'Website',
    is_verified boolean NOT NULL DEFAULT false,
    is_approved boolean NOT NULL DEFAULT false,
    is_featured boolean NOT NULL DEFAULT false,
    travel_date date,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT reviews_pkey PRIMARY KEY (id),
    CONSTRAINT reviews_rating_check CHECK (rating BETWEEN 1 AND 5),
    CONSTRAINT reviews_trip_template_id_fkey FOREIGN KEY (trip_template_id) REFERENCES trip_templates (id) ON DELETE CASCADE,
    CONSTRAINT reviews_trip_occurrence_id_fkey FOREIGN KEY (trip_occurrence_id) REFERENCES trip_occurrences (id) ON DELETE SET NULL
);
CREATE INDEX ix_reviews_approved ON reviews (is_approved);
CREATE INDEX ix_reviews_featured ON reviews (is_featured);
CREATE INDEX ix_reviews_occurrence ON reviews (trip_occurrence_id);
CREATE INDEX ix_reviews_rating ON reviews (rating);
CREATE INDEX ix_reviews_template ON reviews (trip_template_id);
