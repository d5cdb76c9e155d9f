"""The catalog's read models in full: titles with all that a page shows, windows by territory, and search."""

from infra.migrations.sql import run_script

revision = "0006"
down_revision = "0005"

TITLES = """
alter table catalog_titles
    alter column maturity_system drop not null,  -- null: nobody rated it
    alter column maturity_value drop not null,
    alter column minimum_age drop not null,
    alter column published_at drop not null,     -- null: never was
    add column status            text   not null default 'published',  -- draft | scheduled | published | withdrawn
    add column revision          bigint not null default 1,
    add column default_locale    text   not null default 'en',
    add column texts             jsonb  not null default '[]',  -- [{locale, name, synopsis, tagline}]
    add column sort_names        jsonb  not null default '{}',  -- {"ko": ..., "": every other language}
    add column markers           jsonb  not null default '{}',
    add column ratings           jsonb  not null default '[]',  -- [{system, value, minimum_age}]
    add column holdbacks         jsonb  not null default '[]',
    add column genres            jsonb  not null default '[]',  -- ["drama", ...]
    add column people            jsonb  not null default '[]',  -- [{person_id, name, role, character, order}]
    add column images            jsonb  not null default '[]',
    add column next_title_id     text,
    add column provider_id       text,
    add column original_language text,
    add column release_year      bigint,
    add column external_id       text,
    add column publish_at        timestamptz;

drop index catalog_titles_published_at;
create index catalog_titles_newest on catalog_titles (published_at desc, title_id desc) where status = 'published';
create index catalog_titles_year on catalog_titles
    (coalesce(release_year, 0) desc, title_id desc) where status = 'published';
create index catalog_titles_name_ko on catalog_titles
    (coalesce(sort_names ->> 'ko', sort_names ->> '', name) collate "C", title_id) where status = 'published';
create index catalog_titles_name_en on catalog_titles
    (coalesce(sort_names ->> 'en', sort_names ->> '', name) collate "C", title_id) where status = 'published';
create index catalog_titles_genres on catalog_titles using gin (genres) with (fastupdate = off);
create index catalog_titles_people on catalog_titles using gin (people jsonb_path_ops) with (fastupdate = off);
create index catalog_titles_provider on catalog_titles (provider_id, published_at desc);

-- A viewer's progress in a series. Neither column ever changes: updates of a session stay in place (HOT).
create index playback_sessions_series on playback_sessions (profile_id, series_id);
"""

WINDOWS = """
create table catalog_windows (
    record_id bigint generated always as identity primary key,  -- a title's windows are written anew as a whole
    title_id  text not null,
    series_id text,
    territory text not null,
    licence   text not null,
    starts_at timestamptz,
    ends_at   timestamptz,
    opens_at  timestamptz not null generated always as (coalesce(starts_at, '-infinity'::timestamptz)) stored,
    closes_at timestamptz not null generated always as (coalesce(ends_at, 'infinity'::timestamptz)) stored
);
create index catalog_windows_title on catalog_windows (title_id, territory);
create index catalog_windows_series on catalog_windows (series_id, territory) where series_id is not null;
create index catalog_windows_opening on catalog_windows (territory, opens_at);
"""

SEARCH = """
create extension if not exists pg_trgm;

create table catalog_search (
    title_id text   primary key,
    entries  jsonb  not null,  -- [{field, words}]
    tokens   text   not null,  -- see infra/search_text.py
    keyed    text   not null,
    shortest bigint not null
);
create index catalog_search_tokens on catalog_search using gin (string_to_array(tokens, ' ')) with (fastupdate = off);
create index catalog_search_keyed on catalog_search using gin (keyed gin_trgm_ops) with (fastupdate = off);

-- Titles that have all tokens of one of the ways to match and can be played in a territory (null: anywhere) at a time.
-- Each way has its own share of them, nearest to a short query first, so that a query that begins a thousand words
-- still finds the title that it is the whole name of. A function, so that its settings are its own: plans are made for
-- the tokens at hand, and from the index: Postgres would rather read and split all documents, since it does not count
-- that they are stored out of line.
create function catalog_search_matching(in_ways jsonb, in_territory text, in_at timestamptz, in_most int)
returns table (title_id text, entries jsonb, published_at timestamptz) language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off as $$
declare
    way jsonb;
    wanted text[];
begin
    for way in select jsonb_array_elements(in_ways) loop
        wanted := array(select jsonb_array_elements_text(way));
        return query
            select near.title_id, near.entries,
                (select t.published_at from catalog_titles as t where t.title_id = near.title_id)
            from (
                select found.title_id, found.entries from catalog_search as found
                where string_to_array(found.tokens, ' ') @> wanted and exists (
                    select from catalog_windows as w
                    where (w.title_id = found.title_id or w.series_id = found.title_id) and w.opens_at <= in_at
                      and w.closes_at > in_at and (in_territory is null or w.territory = in_territory)
                )
                order by found.shortest, found.title_id limit in_most
            ) as near;
    end loop;
end $$;

-- Titles that a mistyped query may mean; who asks compares what is found letter by letter. The threshold is low for a
-- short query, since a letter swapped in a short word changes most of its trigrams, and higher for a long one, which
-- would share that few with half of the catalog.
create function catalog_search_alike(in_keyed text, in_territory text, in_at timestamptz, in_most int)
returns table (title_id text, entries jsonb, published_at timestamptz) language plpgsql volatile
set pg_trgm.word_similarity_threshold = 0.28 set plan_cache_mode = force_custom_plan set enable_seqscan = off as $$
begin
    if length(in_keyed) > 7 then
        set local pg_trgm.word_similarity_threshold = 0.42;  -- until the function ends, as it has a setting of its own
    end if;
    return query
        select near.title_id, near.entries,
            (select t.published_at from catalog_titles as t where t.title_id = near.title_id)
        from (
            select found.title_id, found.entries from catalog_search as found
            where in_keyed <% found.keyed and exists (
                select from catalog_windows as w
                where (w.title_id = found.title_id or w.series_id = found.title_id) and w.opens_at <= in_at
                  and w.closes_at > in_at and (in_territory is null or w.territory = in_territory)
            )
            order by word_similarity(in_keyed, found.keyed) desc, found.shortest, found.title_id limit in_most
        ) as near;
end $$;
"""


def upgrade() -> None:
    """Apply it."""
    run_script(TITLES)
    run_script(WINDOWS)
    run_script(SEARCH)
